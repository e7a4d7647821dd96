// A result as a chart: the first column across, every column of numbers as a line.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";

const numeric = (t) => /^(tinyint|smallint|int|bigint|float|double|decimal|varint|counter)/.test(t);
const timely = (t) => /^(timestamp|date)/.test(t);
const colors = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1864ab"];

export const chartable = (result) => result.columns.slice(1).some((c) => numeric(c.type)) || (result.columns.length === 1 && numeric(result.columns[0].type));

function dataOf(result) {
  const [first, ...rest] = result.columns;
  const isTime = timely(first.type), isNumber = numeric(first.type);
  const at = result.rows.map((r, i) => (isTime ? Date.parse(String(r[0]).replace(" ", "T") + (/Z|[+-]\d\d:?\d\d$/.test(String(r[0])) ? "" : "Z")) / 1000 : isNumber ? Number(r[0]) : i));
  const order = at.map((_, i) => i).sort((a, b) => at[a] - at[b]);
  const lines = rest.map((c, k) => [c, k + 1]).filter(([c]) => numeric(c.type));
  return { isTime, isNumber, labels: result.rows.map((r) => String(r[0])), lines, data: [order.map((i) => at[i]), ...lines.map(([, k]) => order.map((i) => (result.rows[i][k] == null ? null : Number(result.rows[i][k]))))] };
}

export function Chart({ result }) {
  const box = useRef(null);
  useEffect(() => {
    const { isTime, isNumber, labels, lines, data } = dataOf(result);
    const ink = getComputedStyle(box.current).color;
    const grid = { stroke: "#8884", width: 1 };
    const plot = new uPlot({
      width: box.current.clientWidth || 800, height: 320, scales: { x: { time: isTime } },
      axes: [{ stroke: ink, grid, values: isTime || isNumber ? undefined : (_, ticks) => ticks.map((t) => (Number.isInteger(t) ? (labels[t] || "").slice(0, 12) : "")) }, { stroke: ink, grid }],
      series: [{ label: result.columns[0].name }, ...lines.map(([c], i) => ({ label: c.name, stroke: colors[i % colors.length], width: 2, points: { show: data[0].length < 60 }, spanGaps: false }))],
    }, data, box.current);
    return () => plot.destroy();
  }, [result]);
  return html`<div class="chart" ref=${box}></div>`;
}
