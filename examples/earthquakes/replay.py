"""Serves the recorded week of earthquakes under the path of the U.S. Geological Survey's feed.

    python3 replay.py [PORT]     prints its address, serves until it is stopped
"""
import http.server
import os
import sys
import threading

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "usgs-all-week-2018-02-07.geojson")
PATH = "/earthquakes/feed/v1.0/summary/all_week.geojson"


class Feed(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.split("?")[0] != PATH:
            self.send_error(404)
            return
        with open(RECORDED, "rb") as f:
            body = f.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def start(port=0):
    """Serves from a thread of this process; gives the feed's URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Feed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d%s" % (server.server_port, PATH)


if __name__ == "__main__":
    print(start(int(sys.argv[1]) if len(sys.argv) > 1 else 0), flush=True)
    threading.Event().wait()
