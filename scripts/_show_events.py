"""Prints a thread's Server-Sent Events, a line each, until a turn ends."""

import json
import sys
import time

for line in sys.stdin:
    if not line.startswith("data:"):
        continue
    event = json.loads(line[5:])
    said = {name: event[name] for name in ("text", "name", "status", "code") if event.get(name)}
    print(time.strftime("%T"), f"  {event.get('seq', ''):>3} {event['type']:<12}", json.dumps(said, ensure_ascii=False))
    if event["type"] == "turn_end":
        break
