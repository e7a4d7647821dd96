// Topics: sizes, rates, and the newest records.
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { getJson } from "./api.js";
import { bytes, exact, rate, time } from "./format.js";

const shown = (v) => (v === null ? html`<i>null</i>` : typeof v === "object" ? "0x" + v.$hex : v);

function Records({ topic, end }) {
  const [records, setRecords] = useState(null);
  useEffect(() => {
    getJson(`/api/topics/${encodeURIComponent(topic)}/records?offset=-20&limit=20`).then((a) => setRecords(a.records)).catch(() => setRecords([]));
  }, [topic, end]);
  if (!records) return null;
  return html`<div class="scroll"><table><thead><tr><th>offset</th><th>time</th><th>key</th><th>value</th></tr></thead>
    <tbody>${records.slice().reverse().map((r) => html`<tr key=${r.offset}><td>${r.offset}</td><td>${time(r.timestamp)}</td><td>${shown(r.key)}</td><td class="value">${shown(r.value)}</td></tr>`)}</tbody></table></div>`;
}

export function Topics({ status }) {
  const [open, setOpen] = useState(null);
  if (!status.topics.length) return html`<p class="empty">No topics yet: a producer makes them by its first record.</p>`;
  return html`<section class="topics">${status.topics.map((t) => html`<article key=${t.name}>
    <button class="row" aria-expanded=${open === t.name} onClick=${() => setOpen(open === t.name ? null : t.name)}><b>${t.name}</b><span>${t.partitions} partition${t.partitions === 1 ? "" : "s"}</span>
      <span>${exact(t.records)} records</span><span>${bytes(t.bytes)}</span><span>${rate(t.rate)}</span></button>
    ${open === t.name && html`<${Records} topic=${t.name} end=${t.records} />`}
  </article>`)}</section>`;
}
