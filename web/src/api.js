// The instance's API: one stream of status objects, and questions.

async function answer(response) {
  const type = response.headers.get("content-type") || "";
  if (!response.ok) {
    const body = type.startsWith("application/json") ? await response.json() : {};
    throw new Error((body.error && body.error.what) || response.statusText);
  }
  return response;
}

export const getJson = async (path) => (await answer(await fetch(path))).json();
export const getText = async (path) => (await answer(await fetch(path))).text();

export async function post(path, body) {
  const response = await answer(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
  return (response.headers.get("content-type") || "").includes("ndjson")
    ? (await response.text()).trim().split("\n").filter(Boolean).map((line) => JSON.parse(line))
    : response.json();
}

// Calls onStatus with each status, onLink with true or false as the connection comes and goes.
export function follow(onStatus, onLink) {
  const source = new EventSource("/api/events");
  source.addEventListener("status", (event) => {
    onLink(true);
    onStatus(JSON.parse(event.data));
  });
  source.onerror = () => onLink(false);
  return () => source.close();
}
