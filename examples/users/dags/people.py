"""People from randomuser.me; where it cannot be reached, from a stand-in of that API in this process."""
import http.server
import json
import logging
import os
import random
import threading
import uuid

import requests

API = os.environ.get("USERS_API", "https://randomuser.me/api/")
_stand_in = None

PEOPLE = [
    ("Mr", "Søren", "Kjærgård", "male", "Rosenørns Allé", "Århus", "Midtjylland", "Denmark", 8000, "DK"),
    ("Ms", "Zoë", "O'Brien", "female", "Dún Laoghaire Road", "Dublin", "Leinster", "Ireland", "D02 X285", "IE"),
    ("Mr", "José", "Muñoz", "male", "Calle de Alcalá", "Móstoles", "Comunidad de Madrid", "Spain", 28931, "ES"),
    ("Mrs", "آوا", "حیدری", "female", "میدان آزادی", "تهران", "تهران", "Iran", 41763, "IR"),
    ("Ms", "Anaïs", "Lefèvre", "female", "Rue de l'Abbé-Grégoire", "Besançon", "Doubs", "France", 25000, "FR"),
    ("Mr", "Владислав", "Гончаренко", "male", "Хрещатик", "Київ", "Київська", "Ukraine", "01001", "UA"),
    ("Mr", "Jürgen", "Groß", "male", "Schöneberger Straße", "Köln", "Nordrhein-Westfalen", "Germany", 50667, "DE"),
    ("Ms", "Aylin", "Öztürk", "female", "İstiklal Cd", "İstanbul", "Marmara", "Turkey", 34433, "TR"),
    ("Mr", "Luke", "Wilson", "male", "Queen Street", "Wellington", "Wellington", "New Zealand", "6011", "NZ"),
    ("Ms", "Chloe", "Roy", "female", "Rue Sainte-Catherine", "Montréal", "Québec", "Canada", "H3B 1A7", "CA"),
    ("Mr", "Ramón", "Peña", "male", "Av. Juárez", "Guadalajara", "Jalisco", "Mexico", 44100, "MX"),
    ("Ms", "Priya", "Kumar", "female", "MG Road", "Bengaluru", "Karnataka", "India", 560001, "IN"),
]


def person(rng):
    title, first, last, gender, street, city, state, country, postcode, nat = rng.choice(PEOPLE)
    number, year = rng.randint(1, 9999), rng.randint(1945, 2004)
    user = "user%d" % rng.randint(100, 99999)
    return {
        "gender": gender,
        "name": {"title": title, "first": first, "last": last},
        "location": {"street": {"number": number, "name": street}, "city": city, "state": state, "country": country, "postcode": postcode},
        "email": user + "@example.com",
        "login": {"uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "username": user},
        "dob": {"date": "%d-%02d-%02dT08:30:00.000Z" % (year, rng.randint(1, 12), rng.randint(1, 28)), "age": 2024 - year},
        "registered": {"date": "2015-%02d-%02dT12:00:00.000Z" % (rng.randint(1, 12), rng.randint(1, 28)), "age": 9},
        "phone": "%03d-%04d" % (rng.randint(100, 999), rng.randint(0, 9999)),
        "picture": {"medium": "https://randomuser.me/api/portraits/med/%s/%d.jpg" % ("men" if gender == "male" else "women", rng.randint(0, 99))},
        "nat": nat,
    }


class Api(http.server.BaseHTTPRequestHandler):
    rng = random.Random()

    def do_GET(self):
        body = json.dumps({"results": [person(self.rng)], "info": {"results": 1, "page": 1, "version": "1.4"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def stand_in():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d/api/" % server.server_port


def get():
    """One answer of the API."""
    global _stand_in
    if not _stand_in:
        try:
            response = requests.get(API, timeout=10)
            response.raise_for_status()
            return response.json()
        except requests.exceptions.RequestException as e:
            if "USERS_API" in os.environ:
                raise
            _stand_in = stand_in()
            logging.warning("randomuser.me cannot be reached (%s): asking a stand-in at %s", type(e).__name__, _stand_in)
    return requests.get(_stand_in, timeout=10).json()
