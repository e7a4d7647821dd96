// The tables, their rows, and a box for queries in SQL or CQL.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { post } from "./api.js";
import { Chart, chartable } from "./chart.js";
import { exact } from "./format.js";

const shown = (v) => (v === null ? html`<i>null</i>` : typeof v === "object" ? JSON.stringify(v) : String(v));

function Result({ result }) {
  const [chart, setChart] = useState(false);
  if (result.error) return html`<pre class="error" role="alert">${result.error.class ? `[${result.error.class}] ` : ""}${result.error.message}</pre>`;
  if (!result.columns) return html`<p class="empty">Done.</p>`;
  return html`<div class="result">
    <p>${exact(result.rows.length)} row${result.rows.length === 1 ? "" : "s"}
      ${chartable(result) && result.rows.length > 1 && html`<button class="switch" onClick=${() => setChart(!chart)}>${chart ? "Table" : "Chart"}</button>`}</p>
    ${chart ? html`<${Chart} result=${result} />` : html`<div class="scroll"><table>
      <thead><tr>${result.columns.map((c) => html`<th>${c.name}<small>${c.type}</small></th>`)}</tr></thead>
      <tbody>${result.rows.slice(0, 500).map((r) => html`<tr>${r.map((v) => html`<td>${shown(v)}</td>`)}</tr>`)}</tbody>
    </table></div>`}
  </div>`;
}

export function Tables({ status, query, setQuery }) {
  const [results, setResults] = useState([]);
  const [busy, setBusy] = useState(false);
  const run = async (q) => {
    setBusy(true);
    try {
      setResults(await post("/api/" + q.language, { [q.language]: q.text }));
    } catch (e) {
      setResults([{ error: { message: e.message } }]);
    }
    setBusy(false);
  };
  const pick = (t) => {
    const q = { language: "cql", text: `SELECT * FROM ${t.keyspace}.${t.name} LIMIT 100` };
    setQuery(q);
    run(q);
  };
  const keys = (e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); run(query); } };
  return html`<section class="tables">
    <nav aria-label="tables">${status.tables.map((t) => html`<button key=${t.keyspace + t.name} onClick=${() => pick(t)}><span>${t.keyspace}.<b>${t.name}</b></span><em>${exact(t.rows)}</em></button>`)}
      ${!status.tables.length && html`<p class="empty">No tables yet.</p>`}</nav>
    <div class="query">
      <div class="bar">
        ${["sql", "cql"].map((l) => html`<label><input type="radio" name="language" checked=${query.language === l} onChange=${() => setQuery({ ...query, language: l })} /> ${l === "sql" ? "Spark SQL" : "CQL"}</label>`)}
        <button class="go" disabled=${busy} onClick=${() => run(query)}>Run (Ctrl+Enter)</button>
      </div>
      <textarea spellcheck="false" aria-label="query" value=${query.text} onInput=${(e) => setQuery({ ...query, text: e.target.value })} onKeyDown=${keys}></textarea>
      ${results.map((r, i) => html`<${Result} key=${i + JSON.stringify(r.columns || "")} result=${r} />`)}
    </div>
  </section>`;
}
