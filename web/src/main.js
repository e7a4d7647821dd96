// The page: the picture on top, under it runs, topics, tables; what is wrong stands first.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./page.css";
import { html } from "./html.js";
import { follow } from "./api.js";
import { span } from "./format.js";
import { Picture } from "./picture.js";
import { Runs } from "./runs.js";
import { Tables } from "./tables.js";
import { Topics } from "./topics.js";

const tabs = [["runs", "DAG runs"], ["topics", "Topics"], ["tables", "Tables and queries"]];

function Findings({ list }) {
  return list.map((f) => html`<div class=${"finding " + f.severity} role=${f.severity === "error" ? "alert" : "status"}>
    <b>${f.subject}: ${f.what}</b>${f.why && html`<div>Why: ${f.why}</div>`}${f.next && html`<div>Next: ${f.next}</div>`}</div>`);
}

function Theme() {
  const [theme, setTheme] = useState(localStorage.getItem("theme") || "");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
  }, [theme]);
  const next = { "": "dark", dark: "light", light: "" }[theme];
  return html`<button class="theme" onClick=${() => setTheme(next)} title="light, dark, or as the system says">${theme || "system"}</button>`;
}

function Page() {
  const [status, setStatus] = useState(null);
  const [linked, setLinked] = useState(false);
  const [tab, setTab] = useState(location.hash.slice(1) || "runs");
  const [error, setError] = useState(null);
  const [query, setQuery] = useState({ language: "sql", text: "" });
  useEffect(() => follow(setStatus, setLinked), []);
  useEffect(() => { history.replaceState(null, "", "#" + tab); }, [tab]);
  if (!status) return html`<main><p class="empty">Waiting for the instance…</p></main>`;
  const pick = (n) => {
    if (n.kind === "dag") setTab("runs");
    if (n.kind === "topic") setTab("topics");
    if (n.kind === "query") setTab("tables");
    if (n.kind === "table") {
      setQuery({ language: "sql", text: `SELECT * FROM ${n.title} LIMIT 100` });
      setTab("tables");
    }
  };
  return html`<header class="top">
      <h1><svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><path d="M4 12q4-5 8 0t8 0 8 0M4 18q4-5 8 0t8 0 8 0M4 24q4-5 8 0t8 0 8 0" /></svg>Tidemill</h1>
      <span class="project" title=${status.project}>${status.project.split("/").pop()}</span>
      <span class="doors">Kafka ${status.doors.kafka ? ':' + status.doors.kafka : status.broker.address} · Cassandra :${status.doors.cassandra} · up ${span(status.uptime_s)} · ${status.version}</span>
      ${status.coordinator && html`<span class=${"role " + (status.coordinator.role === "leader" ? "on" : "off")} title=${status.coordinator.waiting_for}>${status.coordinator.role === "follower" ? "follower of " + status.coordinator.leader : status.coordinator.role}</span>`}
      <span class=${"link " + (linked ? "on" : "off")}>${linked ? "live" : "no connection"}</span><${Theme} />
    </header>
    <main>
      <${Findings} list=${status.findings} />
      ${error && html`<div class="finding error" role="alert" onClick=${() => setError(null)}><b>${error}</b></div>`}
      <${Picture} status=${status} onPick=${pick} />
      <nav class="tabs" role="tablist">${tabs.map(([id, name]) => html`<button role="tab" aria-selected=${tab === id} onClick=${() => setTab(id)}>${name}</button>`)}</nav>
      ${tab === "topics" ? html`<${Topics} status=${status} />` : tab === "tables" ? html`<${Tables} status=${status} query=${query} setQuery=${setQuery} />` : html`<${Runs} status=${status} onError=${setError} />`}
    </main>`;
}

render(html`<${Page} />`, document.getElementById("app"));
