// The whole run as a picture: DAGs, topics, streaming queries, tables, laid out from left to right.
import dagre from "@dagrejs/dagre";
import { html } from "./html.js";
import { rate, time, cut, exact } from "./format.js";

const WIDTH = 252, LINE = 17, HEAD = 30;

const dagState = (status, id) => {
  const run = status.runs.find((r) => r.dag_id === id);
  return run ? run.state : "no run";
};

function deadOf(p) {
  return Object.values(p.dead_lettered || {}).reduce((a, b) => a + b, 0);
}

// What the status says, as nodes and edges. Keys: "dag:x", "topic:x", "query:x", "table:ks.x".
export function graphOf(status) {
  const nodes = new Map(), edges = [];
  const add = (key, node) => nodes.set(key, { key, ...node });
  for (const d of status.dags) add("dag:" + d.dag_id, { kind: "dag", title: d.dag_id, state: dagState(status, d.dag_id), lines: [["last run", dagState(status, d.dag_id)], ["schedule", cut(String(d.timetable_summary ?? "none"), 18)]] });
  for (const t of status.topics) add("topic:" + t.name, { kind: "topic", title: t.name, lines: [["records", exact(t.records)], ["rate", rate(t.rate)]] });
  for (const t of status.tables) if (t.keyspace !== "tidemill") add("table:" + t.keyspace + "." + t.name, { kind: "table", title: t.keyspace + "." + t.name, lines: [["rows", exact(t.rows)]] });
  for (const p of status.pipelines) {
    const lines = [["rows in", exact(p.rows_read)], ["rows out", exact(p.rows_written)]];
    if (p.lag != null) lines.push(["behind", exact(p.lag)]);
    if (p.watermark_ms != null) lines.push(["watermark", time(p.watermark_ms).slice(0, 16)]);
    if (p.rows_late) lines.push(["late", exact(p.rows_late)]);
    if (deadOf(p)) lines.push(["dead letters", exact(deadOf(p))]);
    add("query:" + p.name, { kind: "query", title: p.name, state: p.state, lines });
    const o = p.sink.options, pick = (name) => { for (const k in o) if (k.toLowerCase() === name) return o[k]; };
    if (p.sink.format === "cassandra") edges.push(["query:" + p.name, "table:" + pick("keyspace") + "." + pick("table"), p.rows_written]);
    if (p.sink.format === "kafka" && pick("topic")) edges.push(["query:" + p.name, "topic:" + pick("topic"), p.rows_written]);
  }
  for (const e of status.edges) {
    const to = "query:" + e.to;
    const from = ["topic:" + e.from, "table:" + e.from].find((k) => nodes.has(k));
    if (from && nodes.has(to)) edges.push([from, to, null]);
  }
  // A task's Kafka client is named after it: airflow/<dag>/<task>.
  for (const w of status.writers) {
    const [kind, dag] = w.client_id.split("/");
    const edge = ["dag:" + dag, "topic:" + w.topic, null];
    if (kind === "airflow" && !edges.some((e) => e[0] === edge[0] && e[1] === edge[1])) edges.push(edge);
  }
  return { nodes: [...nodes.values()], edges: edges.filter(([a, b]) => nodes.has(a) && nodes.has(b)) };
}

function layout({ nodes, edges }) {
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 56, marginx: 8, marginy: 8 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const n of nodes) g.setNode(n.key, { width: WIDTH, height: HEAD + n.lines.length * LINE + 8 });
  for (const [a, b] of edges) g.setEdge(a, b);
  dagre.layout(g);
  return g;
}

const icons = { dag: "DAG", topic: "topic", query: "query", table: "table" };

function Node({ n, at, onPick }) {
  const x = at.x - at.width / 2, y = at.y - at.height / 2;
  return html`<g class=${"node " + n.kind + " " + (n.state || "")} transform=${`translate(${x} ${y})`} onClick=${() => onPick(n)} tabindex="0" role="button" aria-label=${n.kind + " " + n.title}>
    <title>${n.title}</title>
    <rect class="box" width=${at.width} height=${at.height} rx="7" />
    <rect class="bar" width="5" height=${at.height} rx="2" />
    <text class="title" x="14" y="20">${cut(n.title, 23)}</text>
    <text class="kind" x=${at.width - 10} y="20">${icons[n.kind]}</text>
    ${n.lines.map(([name, value], i) => html`<text class="name" x="14" y=${HEAD + 10 + i * LINE}>${name}</text><text class="value" data-figure=${n.key + " " + name} x=${at.width - 10} y=${HEAD + 10 + i * LINE}>${value}</text>`)}
  </g>`;
}

const path = (points) => points.map((p, i) => (i ? "L" : "M") + p.x.toFixed(1) + " " + p.y.toFixed(1)).join("");

export function Picture({ status, onPick }) {
  const graph = graphOf(status);
  if (!graph.nodes.length) return html`<p class="empty">Nothing runs yet: the project has no DAGs, pipelines or tables.</p>`;
  const g = layout(graph), size = g.graph();
  return html`<div class="picture"><svg viewBox=${`0 0 ${size.width} ${size.height}`} width=${size.width} height=${size.height} role="img" aria-label="the run as a picture">
    <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="head" /></marker></defs>
    ${g.edges().map((e) => html`<path key=${e.v + e.w} class="edge" d=${path(g.edge(e).points)} marker-end="url(#arrow)" />`)}
    ${graph.nodes.map((n) => html`<${Node} key=${n.key} n=${n} at=${g.node(n.key)} onPick=${onPick} />`)}
  </svg></div>`;
}

