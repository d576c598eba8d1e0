import json, pytest
from tests.live.test_openai_model import *
from tests.live.test_openai_model import _model,_scripted
from tests.live.openai_server import *
from tests.live.server import rider
pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

@pytest.mark.parametrize("answer", [
  Answer(calls=[Call("EstimateFare", '{"a": NaN, "b": Infinity}')]),
  Answer(calls=[Call("EstimateFare", '{"a": "\\ud800"}')]),
  Answer(calls=[Call("EstimateFare", '{"a": "x\\u0000y"}')]),
  Answer(calls=[Call("EstimateFare", '{"a": "line\nbreak"}')]),
  Answer(calls=[Call("EstimateFare", '[' * 100000)]),
  Answer(calls=[Call("EstimateFare", 'null')]),
  Answer(calls=[Call("EstimateFare", '"{}"')]),
  Answer(calls=[Call("EstimateFare", '{"a": 1' + '0'*5000 + '}')]),
  Answer(calls=[Call("EstimateFare", '{"a": 1' + '0'*400 + '}')]),
  Answer(calls=[Call("EstimateFare", '{}', id="x"*100000)]),
  Answer(calls=[Call("E\ud800", '{}')]),
  Answer(calls=[Call("EstimateFare", '{}', id="a"), Call("EstimateFare", '{}', id="a")]),
  Answer("hola \ud800 ¿qué", calls=[Call("EstimateFare")]),
  Answer("nul \u0000 ¿qué", calls=[Call("EstimateFare")]),
  Answer("uno 🚕 dos", calls=[Call("EstimateFare")]),
], ids=range(15))
async def test_odd(answer, scripted, model):
    model.when("Raro", answer, Answer("Bien."))
    model.when("Y ahora", Answer("Ya."))
    async with rider(scripted.server.ws) as caller:
        f = await caller.say("Raro")
        print([(x["type"], x.get("text") or x.get("code") or x.get("args") or x.get("result")) for x in f if x["type"] in("agent_chunk","tool_call","tool_result","agent_error","turn_end")].__repr__()[:900])
        check(f)
        assert f[-1]["status"]=="completed"
        await say(caller,"Y ahora")
        await scripted.get("/api/v1/threads/"+f[-1]["thread_id"])
