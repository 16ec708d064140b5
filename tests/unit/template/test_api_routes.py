"""The template's API and Chalice's routes are the same: what isn't declared is never sent."""

import re

from handlers import load_handler
from unit.template.deployed import Stack

METHODS = {"get", "post", "put", "delete", "patch", "head", "options", "x-amazon-apigateway-any-method"}


def _declared(stack: Stack) -> set[tuple[str, str]]:
    paths = stack.properties("RestApi")["Body"]["paths"]
    return {(method.upper(), path) for path, item in paths.items() for method in item if method in METHODS}


def test_every_route_is_declared_and_nothing_else(stack: Stack) -> None:
    routes = load_handler("api").app.routes
    answered = {(method, path) for path, methods in routes.items() for method in methods}
    assert _declared(stack) == answered


def test_the_routes_are_the_documented_ones(stack: Stack) -> None:
    assert _declared(stack) == {
        ("GET", "/detections"),
        ("GET", "/health"),
        ("GET", "/runs"),
        ("GET", "/runs/{run_id}"),
        ("POST", "/retrainings"),
        ("POST", "/rollbacks"),
    }


def test_every_route_asks_for_a_signature(stack: Stack) -> None:
    body = stack.properties("RestApi")["Body"]
    methods = [method for item in body["paths"].values() for method in item.values()]
    assert [method["security"] for method in methods] == [[{"AWS_IAM": []}]] * len(methods)
    assert body["components"]["securitySchemes"]["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_route_invokes_the_function_by_its_own_permission(stack: Stack) -> None:
    body = stack.properties("RestApi")["Body"]
    integrations = [m["x-amazon-apigateway-integration"] for item in body["paths"].values() for m in item.values()]
    assert [i for i in integrations if "credentials" in i or i["type"] != "aws_proxy"] == []
    permitted = {
        permission["SourceArn"].partition("RestApi/")[2].partition("/")[2]
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["Principal"] == "apigateway.amazonaws.com" and permission["FunctionName"] == "ApiFunction"
    }
    assert permitted == {f"{method}{re.sub(r'{[^}]+}', '*', path)}" for method, path in _declared(stack)}


def test_the_api_is_rest_version_1_with_one_stage(stack: Stack) -> None:
    assert [properties["StageName"] for properties in stack.of_type("AWS::ApiGateway::Stage").values()] == ["v1"]
    assert stack.of_type("AWS::ApiGatewayV2::Api") == {}
