// Numbers and times as people read them.

const units = [[1e9, "G"], [1e6, "M"], [1e4, "k"]];

export function count(n) {
  if (n == null) return "–";
  for (const [size, unit] of units) if (Math.abs(n) >= size) return (n / (unit === "k" ? 1e3 : size)).toFixed(1) + " " + unit;
  return Number(n).toLocaleString("en");
}

export const exact = (n) => (n == null ? "–" : Number(n).toLocaleString("en"));
export const rate = (n) => (n >= 100 ? count(Math.round(n)) : n >= 1 ? n.toFixed(0) : "0") + "/s";
export const bytes = (n) => (n >= 1e9 ? (n / 1e9).toFixed(1) + " GB" : n >= 1e6 ? (n / 1e6).toFixed(1) + " MB" : n >= 1e3 ? (n / 1e3).toFixed(1) + " kB" : n + " B");
export const time = (ms) => (ms == null ? "–" : new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z"));
export const cut = (text, n) => (text.length > n ? text.slice(0, n - 1) + "…" : text);

export function span(seconds) {
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}
