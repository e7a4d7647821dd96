// DAG runs, their tasks and logs.
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { getJson, getText, post } from "./api.js";

const enc = encodeURIComponent;

function Log({ dag, run, task }) {
  const [text, setText] = useState("…");
  useEffect(() => {
    let stop = false;
    getText(`/api/dags/${enc(dag)}/runs/${enc(run)}/tasks/${enc(task.task_id)}/log?try=0&map_index=${task.map_index ?? -1}`)
      .then((t) => stop || setText(t || "(the task printed nothing)"))
      .catch((e) => stop || setText(e.message));
    return () => { stop = true; };
  }, [dag, run, task.task_id, task.state]);
  return html`<pre class="log" aria-label=${"log of " + task.task_id}>${text}</pre>`;
}

function Run({ dag, run, onError }) {
  const [detail, setDetail] = useState(null);
  const [task, setTask] = useState(null);
  useEffect(() => { getJson(`/api/dags/${enc(dag)}/runs/${enc(run.run_id)}`).then(setDetail).catch((e) => onError(e.message)); }, [dag, run.run_id, run.state]);
  const tasks = (detail && (detail.task_instances || detail.tasks)) || [];
  const open = task && tasks.find((t) => t.task_id === task);
  return html`<div class="run">
    <div class="tasks">${tasks.map((t) => html`<button key=${t.task_id + (t.map_index ?? "")} class=${"task " + t.state + (task === t.task_id ? " open" : "")} onClick=${() => setTask(task === t.task_id ? null : t.task_id)}>
      <span class="dot"></span>${t.task_id}${t.map_index >= 0 ? ` [${t.map_index}]` : ""} <em>${t.state}${t.try_number > 1 ? ", try " + t.try_number : ""}</em></button>`)}</div>
    ${open && html`<${Log} dag=${dag} run=${run.run_id} task=${open} />`}
  </div>`;
}

export function Runs({ status, onError }) {
  const [open, setOpen] = useState(null);
  const trigger = (id) => post(`/api/dags/${enc(id)}/trigger`, { conf: {} }).catch((e) => onError(e.message));
  if (!status.dags.length) return html`<p class="empty">This project has no DAGs: put Airflow DAG files into dags/.</p>`;
  return html`<section class="runs">
    ${status.dags.map((d) => html`<article key=${d.dag_id}>
      <header><h3>${d.dag_id}</h3><span class="tag">Airflow ${d.dialect}</span><span class="tag">${String(d.timetable_summary ?? "no schedule")}</span>
        <button class="go" onClick=${() => trigger(d.dag_id)}>Run now</button></header>
      ${status.runs.filter((r) => r.dag_id === d.dag_id).map((r) => html`<div key=${r.run_id}>
        <button class=${"row " + r.state} onClick=${() => setOpen(open === r.run_id + d.dag_id ? null : r.run_id + d.dag_id)} aria-expanded=${open === r.run_id + d.dag_id}>
          <span class="dot"></span><b>${r.state}</b><span>${r.run_id}</span></button>
        ${open === r.run_id + d.dag_id && html`<${Run} dag=${d.dag_id} run=${r} onError=${onError} />`}
      </div>`)}
    </article>`)}
  </section>`;
}
