from tests.backends.made import dicom
from tests.web.conftest import *
from tests.web.gate import *
import asyncio, time, pytest, os

@pytest.fixture(autouse=True)
def show(lines):
    lines.expected |= {"request failed", "library message", "unhandled exception in the event loop"}
    yield
    for l in lines: print("   LOG", str(l)[:300])

@asynccontextmanager
async def lag(name):
    worst = [0.0]
    stop = False
    async def tick():
        while True:
            t = time.perf_counter()
            await asyncio.sleep(0.002)
            worst[0] = max(worst[0], time.perf_counter() - t - 0.002)
    task = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    t = time.perf_counter()
    yield
    t = time.perf_counter() - t
    task.cancel()
    print(f"LAG {name}: {worst[0]*1000:.0f} ms of {t:.3f} s")

async def test_parts(serve) -> None:
    g = await serve(backend="local")
    body = b"".join(b"--b\r\n\r\n\r\n" for _ in range(20000)) + b"--b--"
    async with lag("20k empty"):
        a = await g.post(body, 'multipart/related; boundary=b')
    print(a.status, len(a.body), a.headers)
    async with lag("20k empty"):
        a = await g.post(body, 'multipart/related; boundary=b')
    async with lag("20001 empty"):
        a = await g.post(b"--b\r\n\r\n\r\n" + body, 'multipart/related; boundary=b')
    print(a.status, a.body)
    small = b"".join(b"--b\r\n\r\n" + bytes(128) + b"DICM\r\n" for _ in range(5000)) + b"--b--"
    async with lag("5k preambles"):
        a = await g.post(small, 'multipart/related; boundary=b')
    ok = dicom()
    same = b"".join(b"--b\r\n\r\n" + ok + b"\r\n" for _ in range(3000)) + b"--b--"
    async with lag("3k same"):
        a = await g.post(same, 'multipart/related; boundary=b')
    print(a.status)
    wrong = b"".join(b"--b\r\n\r\n" + ok + b"\r\n" for _ in range(3000)) + b"--b--"
    async with lag("3k other study"):
        a = await g.post(wrong, 'multipart/related; boundary=b', path="/studies/9")
    print(a.status)

async def test_qido(serve):
    g = await serve(backend="local")
    for k in range(6):
        files = [dicom("1.1", "1.1.1", f"1.1.1.{k}.{i}") for i in range(1000)]
        a = await g.store(*files)
    async with lag("qido 6k instances"):
        a = await g.get("/instances")
    print(a.status, len(a.body))
    async with lag("qido 6k instances"):
        a = await g.get("/instances")
    for i in range(2):
        async with lag("metadata 6k instances"):
            a = await g.get("/studies/1.1/metadata")
    async with lag("study 6k instances"):
        a = await g.get("/studies/1.1")
    print(len(a.body))

async def test_h(serve):
    g = await serve(backend="memory")
    for h in [b"\xff.example", b'a"b', b"", b"a/b", b"user@evil", b"[::1]:80", b"evil.example:8080", b"localhost", b"gate_1:8080"]:
        a = await g.ask("GET", "/studies", {"Host": h})
        print(h, a.status, a.body)
    print(await g.raw(b"GET / \x80HTTP/1.1\r\n\r\n"))
