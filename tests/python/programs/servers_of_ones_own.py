"""A program against the reference: stand-ins for the servers, as a suite writes them that knows no more than the
reference tells: the chat endpoint and vLLM's two for adapters, answers in one piece, HTTP/1.0."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Tuple

from inference import OllamaProvider, VLLMProvider

seen: List[Tuple[str, Dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: Any) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        seen.append((self.path, asked))
        if self.path == "/v1/chat/completions":
            said = "echo: " + asked["messages"][-1]["content"]
            self.answer(200, {
                "id": "1", "object": "chat.completion", "created": 1, "model": asked["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
        elif self.path == "/v1/load_lora_adapter" and asked["lora_path"].startswith("/bad"):
            self.answer(500, {"error": "cannot load it"})
        elif self.path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
            self.answer(200, "Success: done.")
        else:
            self.answer(404, {"error": "no such path"})


async def main(url: str) -> None:
    vllm = VLLMProvider(base_url=url)
    result = await vllm.generate("hi", model="base", system_prompt="sys", max_tokens=9, temperature=0.25)
    assert (result.text, result.model, result.adapter_id) == ("echo: hi", "base", None)
    assert (result.token_count, result.finish_reason) == (7, "stop")
    asked = [body for path, body in seen if path == "/v1/chat/completions"][-1]
    assert asked["messages"] == [{"role": "system", "content": "sys"}, {"role": "user", "content": "hi"}]
    assert asked["model"] == "base" and asked["max_tokens"] == 9 and asked["temperature"] == 0.25
    assert "top_p" not in asked and "repetition_penalty" not in asked

    await vllm.load_adapter("adapter-001", "/models/adapter-001")
    assert ("/v1/load_lora_adapter", {"lora_name": "adapter-001", "lora_path": "/models/adapter-001"}) in seen
    assert await vllm.list_adapters() == ["adapter-001"]
    result = await vllm.generate("hi", model="base", adapter_id="adapter-001")
    assert result.adapter_id == "adapter-001" and result.model == "base"
    assert [body for path, body in seen if path == "/v1/chat/completions"][-1]["model"] == "adapter-001"
    # An adapter that somebody else has loaded is named all the same.
    assert (await vllm.generate("hi", model="base", adapter_id="theirs")).adapter_id == "theirs"
    await vllm.unload_adapter("adapter-001")
    assert ("/v1/unload_lora_adapter", {"lora_name": "adapter-001"}) in seen
    assert vllm._loaded_adapters == set()
    try:
        await vllm.load_adapter("adapter-002", "/bad/path")
    except Exception as error:  # httpx's, where httpx is
        assert type(error).__name__ == "HTTPStatusError"
        assert error.response.status_code == 500 and "cannot load it" in error.response.text
    else:
        raise AssertionError("it was loaded")
    assert await vllm.list_adapters() == []

    ollama = OllamaProvider(base_url=url)
    result = await ollama.generate("hi", model="qwen2.5-coder:7b", adapter_id="ignored", top_p=0.5)
    assert (result.text, result.adapter_id, result.model) == ("echo: hi", None, "qwen2.5-coder:7b")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asyncio.run(main("http://127.0.0.1:%d/v1" % server.server_address[1]))
    server.shutdown()
    server.server_close()
    print("fine")
