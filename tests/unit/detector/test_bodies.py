"""Who makes room where bodies under way have too many bytes together."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from unit.detector.planned_server import JPEG, ROWS, Client, chunks, client

from detector.answers import Answer


def test_bodies_that_are_under_way_are_bounded_together() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow_body(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        begun.set()
        await release.wait()
        yield b"x"

    async def crowd(crowded: Client) -> list[int]:
        async with crowded.connected() as busy:
            tasks = []
            for size in (9, 9, 9, 9, 9):  # four times ten bytes may be kept
                begun.clear()
                tasks.append(asyncio.create_task(busy.post("/invocations", content=slow_body(size), headers=JPEG)))
                await asyncio.wait({tasks[-1], asyncio.create_task(begun.wait())}, return_when="FIRST_COMPLETED")
            release.set()
            return [response.status_code for response in await asyncio.gather(*tasks)]

    limited = client(max_body_bytes=10)
    assert asyncio.run(crowd(limited)) == [200, 200, 200, 200, 503]
    assert limited.post("/invocations", content=b"x" * 10, headers=JPEG).status_code == 200  # there is room again


def test_a_much_larger_body_under_way_makes_room_for_a_small_one() -> None:
    limited, release = client(max_body_bytes=100), asyncio.Event()

    async def hoard(size: int, begun: asyncio.Event) -> AsyncIterator[bytes]:
        yield b"x" * size
        begun.set()
        await release.wait()
        yield b"x"

    async def crowd() -> tuple[list[int], list[httpx.Response]]:
        async with limited.connected() as busy:
            hoarders = []
            for size in (98, 99, 98, 98):  # of four times a hundred bytes that may be kept
                begun = asyncio.Event()
                headers = JPEG | {"content-length": str(size + 1)}
                hoarders.append(
                    asyncio.create_task(busy.post("/invocations", content=hoard(size, begun), headers=headers))
                )
                await begun.wait()
            others = []
            for body in (b"x" * 30, b"x" * 24, chunks(b"x" * 24), b"x" * 80):  # a quarter of 99 is 24
                others.append((await busy.post("/invocations", content=body, headers=JPEG)).status_code)
            done, _ = await asyncio.wait(hoarders, timeout=0.1)
            assert done == {hoarders[1]}  # who keeps most is told at once, not when its body comes to an end
            release.set()
            return others, list(await asyncio.gather(*hoarders))

    others, hoarders = asyncio.run(crowd())
    assert others == [503, 200, 200, 200]
    assert [response.status_code for response in hoarders] == [200, 503, 200, 200]
    assert "too many bytes" in hoarders[1].json()["error"]
    assert hoarders[1].headers["retry-after"] == "1"
    for _ in range(10):  # nothing is counted twice
        assert limited.post("/invocations", content=b"x" * 100, headers=JPEG).status_code == 200


def test_a_body_that_has_made_room_is_not_looked_at_though_its_end_has_come() -> None:
    looked_at: list[bytes] = []

    def look(data: bytes) -> Answer:
        looked_at.append(data)
        return Answer(200, 100, ROWS)

    async def crowd() -> list[int]:
        async with client(look, max_body_bytes=100).connected() as busy:
            begun = [asyncio.Event() for _ in range(4)]
            release = asyncio.Event()

            async def hoard(number: int) -> AsyncIterator[bytes]:
                yield b"x" * 99
                begun[number].set()
                await release.wait()
                yield b"y"

            async def small() -> AsyncIterator[bytes]:
                await release.wait()
                yield b"z" * 10

            contents = [small(), *map(hoard, range(4))]
            tasks = [
                asyncio.create_task(busy.post("/invocations", content=content, headers=JPEG)) for content in contents
            ]
            await asyncio.gather(*(event.wait() for event in begun))
            release.set()  # all go on in the same round of the event loop
            return [response.status_code for response in await asyncio.gather(*tasks)]

    told = asyncio.run(crowd())
    assert told[0] == 200
    assert sorted(told[1:]) == [200, 200, 200, 503]
    assert sorted(looked_at) == sorted([b"z" * 10, *[b"x" * 99 + b"y"] * 3])
