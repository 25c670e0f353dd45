"""A suite against the reference in unittest's style."""

import unittest
from unittest import mock

from inference import GenerationResult, VLLMProvider, factory


class Agent:
    def __init__(self, provider=None):
        self.provider = provider or factory.get_provider()

    async def attempt(self, task, adapter_path=None):
        adapter_id = None
        if adapter_path:
            adapter_id = "task-%s" % task
            await self.provider.load_adapter(adapter_id, adapter_path)
        try:
            return await self.provider.generate(task, "smol", adapter_id=adapter_id, max_tokens=8)
        finally:
            if adapter_id:
                await self.provider.unload_adapter(adapter_id)


class AgentTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        factory._clear_cache()
        self.provider = factory.get_provider("vllm")

    async def test_the_real_thing(self):
        result = await Agent().attempt("one")
        self.assertIsInstance(result, GenerationResult)
        self.assertGreater(result.token_count, 8)
        self.assertIn(result.finish_reason, ("stop", "length"))

    async def test_an_error_unloads(self):
        result = GenerationResult("x", "smol", "task-two", 3, "stop")
        with mock.patch.multiple(VLLMProvider, load_adapter=mock.DEFAULT, unload_adapter=mock.DEFAULT,
                                 generate=mock.DEFAULT) as methods:
            methods["generate"].return_value = result
            self.assertEqual(await Agent(self.provider).attempt("two", "/a"), result)
            methods["load_adapter"].assert_awaited_once_with("task-two", "/a")
            methods["generate"].side_effect = RuntimeError("out of luck")
            with self.assertRaisesRegex(RuntimeError, "luck"):
                await Agent(self.provider).attempt("three", "/b")
            self.assertEqual(methods["unload_adapter"].await_count, 2)


if __name__ == "__main__":
    unittest.main()
