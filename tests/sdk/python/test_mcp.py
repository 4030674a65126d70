"""The official client of the Model Context Protocol: over standard input and output, and over HTTP."""

import asyncio
import base64
import json

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import server

PICTURE = {"prompt": "a red mug on a table", "width": 64, "height": 64}
FLOW = """
workflow: mcp-two-mugs
version: 1
inputs:
  product: { type: text, required: true }
steps:
  draft:
    vary: { seed: [1, 2] }
    task: text-to-image
    input: { prompt: "{{ inputs.product }}", width: 64, height: 64, seed: "{{ vary.seed }}" }
outputs:
  first: { value: "{{ steps.draft.images[0][0] }}" }
  count: { value: "{{ steps.draft.images | length }}" }
"""


def over_stdio(name):
    """A process of its own beside a server, with the server's data."""
    arguments = ["--data", str(server.folder_of(name)), "mcp"]
    return stdio_client(StdioServerParameters(command=server.BINARY, args=arguments))


def over_http(name, key=None):
    headers = {"Authorization": f"Bearer {server.key_of(name) if key is None else key}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    return streamable_http_client(server.plain(name) + "/mcp", http_client=http)


WAYS = [over_stdio, over_http]


def talk(way, go, name="normal", mode="auto"):
    async def talking():
        async with Client(way(name), mode=mode) as client:
            return await go(client)

    return asyncio.run(asyncio.wait_for(talking(), 90))


def said(result):
    """What a tool said in JSON."""
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("way", WAYS)
def test_tools_are_listed(way, mode):
    async def go(client):
        assert client.server_info is None or client.server_info.name == "impasto"
        return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = talk(way, go, mode=mode)
    wanted = {"list_tasks", "list_models", "plan", "generate", "run_workflow", "get_run", "fetch_result"}
    assert wanted <= set(tools)
    assert tools["generate"].input_schema["required"] == ["task"]
    assert all(tool.description for tool in tools.values())


@pytest.mark.parametrize("way", WAYS)
def test_what_there_is_can_be_looked_at(way):
    async def go(client):
        tasks = said(await client.call_tool("list_tasks", {}))
        task = said(await client.call_tool("describe_task", {"task": "text-to-image"}))
        asked = {"task": "text-to-image", "limit": 1, "search": "sketch"}
        models = said(await client.call_tool("list_models", asked))
        return tasks, task, models["models"]

    tasks, task, models = talk(way, go)
    assert "text-to-image" in [one["task"] for one in tasks]
    assert "prompt" in [one["name"] for one in task["takes"]]
    assert "sketch-scene" in [one["model"] for one in models]


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_runs_nothing(way):
    async def go(client):
        return said(await client.call_tool("plan", {"task": "text-to-image", "input": PICTURE}))

    assert "sketch-scene" in json.dumps(talk(way, go))


@pytest.mark.parametrize("way", WAYS)
def test_generate_gives_a_picture(way):
    told = []

    async def tell(progress, total, message):
        told.append((progress, total, message))

    async def go(client):
        arguments = {"task": "text-to-image", "input": {**PICTURE, "seed": hash(way.__name__) % 10_000}}
        made = await client.call_tool("generate", arguments, progress_callback=tell)
        again = await client.call_tool("fetch_result", {"run": said(made)["run"]})
        run = said(await client.call_tool("get_run", {"run": said(made)["run"]}))
        return made, again, run

    made, again, run = talk(way, go)
    assert said(made)["status"] == "succeeded" == run["status"]
    pictures = [one for one in made.content if one.type == "image"]
    assert pictures[0].mime_type == "image/png"
    assert base64.b64decode(pictures[0].data).startswith(b"\x89PNG")
    assert [one.data for one in again.content if one.type == "image"] == [pictures[0].data]
    fractions = [progress for progress, _, _ in told]
    assert fractions and fractions == sorted(fractions) and fractions[-1] <= 1


def test_files_are_written_for_a_client_on_this_machine(tmp_path):
    async def go(client):
        arguments = {"task": "text-to-image", "model": "draft", "input": {**PICTURE, "num_images": 2}}
        run = said(await client.call_tool("generate", arguments))["run"]
        return said(await client.call_tool("fetch_result", {"run": run, "folder": str(tmp_path)}))

    written = talk(over_stdio, go)["files"]
    assert len(written) == 2 and sorted(str(path) for path in tmp_path.iterdir()) == sorted(written)


def test_no_file_is_written_for_a_client_that_is_elsewhere(tmp_path):
    async def go(client):
        run = said(await client.call_tool("generate", {"task": "text-to-image", "input": PICTURE}))["run"]
        return await client.call_tool("fetch_result", {"run": run, "folder": str(tmp_path)})

    refused = talk(over_http, go)
    assert refused.is_error and "on this machine" in refused.content[0].text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", WAYS)
def test_a_workflow_runs(way):
    kept = httpx2.put(
        server.plain() + "/v1/workflows/mcp-two-mugs",
        json={"source": FLOW},
        headers={"Authorization": f"Bearer {server.KEY}"},
    )
    assert kept.status_code == 200, kept.text

    async def go(client):
        arguments = {"workflow": "mcp-two-mugs", "input": {"product": f"a mug for {way.__name__}"}}
        planned = said(await client.call_tool("plan", arguments))
        return planned, await client.call_tool("run_workflow", arguments)

    planned, done = talk(way, go)
    assert "draft" in json.dumps(planned)
    assert said(done)["status"] == "succeeded" and said(done)["outputs"]["count"] == 2
    assert [one.type for one in done.content] == ["text", "image"]


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_wrong_is_an_answer_that_says_what_to_do(way):
    async def go(client):
        return [
            await client.call_tool("generate", {"task": "text-to-imagine", "input": PICTURE}),
            await client.call_tool("generate", {"task": "text-to-image", "input": {"promt": "x"}}),
            await client.call_tool("get_run", {"run": "nonesuch"}),
            await client.call_tool("run_workflow", {"workflow": "nonesuch"}),
        ]

    answers = talk(way, go)
    for answer, part in zip(answers, ["text-to-image", "prompt", "nonesuch", "nonesuch"]):
        assert answer.is_error and part in answer.content[0].text, answer


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_tool_is_an_error_of_the_protocol(way):
    async def go(client):
        with pytest.raises(MCPError, match="make_coffee"):
            await client.call_tool("make_coffee", {})

    talk(way, go)


def test_a_run_can_be_given_up():
    async def go(client):
        made = said(await client.call_tool("generate", {"task": "text-to-image", "input": PICTURE, "wait_s": 0.2}))
        assert made["status"] in ("queued", "running")
        await client.call_tool("cancel_run", {"run": made["run"]})
        for _ in range(100):
            run = said(await client.call_tool("get_run", {"run": made["run"]}))
            if run["status"] == "cancelled":
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"it is {run['status']}")

    talk(over_http, go, name="hanging")


def test_a_bad_key_sees_nothing():
    async def go(client):
        return await client.call_tool("list_tasks", {})

    refused = None
    try:
        refused = talk(lambda name: over_http(name, key="imp_000000000000_wrong"), go)
    except BaseExceptionGroup as group:
        assert "401" in str(group.exceptions) or "key" in str(group.exceptions)
    if refused is not None:
        assert refused.is_error and "key" in refused.content[0].text


def test_another_tenant_s_run_is_not_found():
    made = httpx2.post(
        server.plain() + "/v1/keys",
        json={"tenant": "acme", "name": "mcp"},
        headers={"Authorization": f"Bearer {server.admin_key_of()}"},
    )
    assert made.status_code == 201, made.text

    async def mine(client):
        return said(await client.call_tool("generate", {"task": "text-to-image", "input": PICTURE}))["run"]

    run = talk(over_http, mine)

    async def theirs(client):
        return await client.call_tool("fetch_result", {"run": run})

    refused = talk(lambda name: over_http(name, key=made.json()["key"]), theirs)
    assert refused.is_error and run in refused.content[0].text
