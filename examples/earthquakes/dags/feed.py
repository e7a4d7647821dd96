"""Where the feed is read from, and how."""
import importlib.util
import logging
import os

import requests

SURVEY = "https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/all_week.geojson"


def local_replay():
    """The address of a server in this process that replays the recorded week."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay.py")
    spec = importlib.util.spec_from_file_location("replay", path)
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    return replay.start()


def fetch():
    """The events of the past week, oldest first, as the API gives them."""
    url = os.environ.get("EARTHQUAKES_FEED", SURVEY)
    try:
        response = requests.get(url, timeout=10)
    except requests.exceptions.ConnectionError:
        if url != SURVEY:
            raise
        url = local_replay()
        logging.warning("the Survey cannot be reached: replaying the recorded week from %s", url)
        response = requests.get(url, timeout=10)
    response.raise_for_status()
    features = response.json()["features"]
    logging.info("%d events from %s", len(features), url)
    return sorted(features, key=lambda f: f["properties"]["time"])
