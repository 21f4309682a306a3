def test_it(service):
    agents = service("agents")
    a = agents.request("POST", "/agents", {"name": "a", "configuration": {"llmProvider": "openai", "model": "m", "tools": []}})
    assert a.status == 201, a
    print(agents.outbox())
    assert agents.request("GET", f"/agents/{a.body['id']}").body == a.body
    assert agents.request("GET", "/agents?limit=1").status == 200
