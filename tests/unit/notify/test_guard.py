"""guard: a table of URLs that somebody with bad intentions would try, and of those that must go on working."""

import itertools
import socket
import ssl
import threading
from pathlib import Path

import pytest

from factory.errors import Invalid
from factory.notify.courier import Courier, Unreachable
from factory.notify.guard import PUBLIC, Reach, check_addresses, check_url, is_public, read_networks
from tests.receiver import HERE, running_receiver

CERTIFICATE = Path(__file__).parent / "hooks.example.com.pem"  # made for this test and trusted by nobody else
HOSTILE = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "https://",
    "https:///path",
    "https://?x",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "http://hooks.example.com/",
    "https://hooks.example.com:8443/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:443:80/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:４４３/",
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://127.0.0.1\\@hooks.example.com/",
    "https:\\\\hooks.example.com/",
    "https://hooks.example.com/\r\nHost: metadata",
    "https://hooks.example.com/a b",
    "https://hooks.example.com\t/",
    " https://hooks.example.com/",
    "https://hooks.example.com\u3000/",
    "https://hooks.example.com\u200b/",
    "https://hooks.example.com./",
    "https://hooks..example.com/",
    "https://.example.com/",
    "https://-hooks.example.com/",
    "https://hooks_1.example.com/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 130 + "com/",
    "https://hooks.example.com/" + "a" * 2048,
    "https://hooks.example.com%2f@x/",
    "https://127.0.0.1%00.example.com/",
    "https://%31%32%37.0.0.1/",
    # names of inner networks
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://x.localhost/",
    "https://redis/",
    "https://postgres.internal/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://printer.local/",
    "https://nas.lan/",
    "https://router.home.arpa/",
    "https://ｌｏｃａｌｈｏｓｔ/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    # IPv4, plain and in disguise
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.0x1/",
    "https://127.0.1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://08.8.8.8/",
    "https://１２７．０．０．１/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://0.0.0.0/",
    "https://0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    # IPv6, and IPv4 inside of it
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::808:808]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111%25eth0]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://[::1/",
    "https://[hooks.example.com]/",
]
GOOD = {
    "https://hooks.example.com": ("hooks.example.com", 443, "/"),
    "https://hooks.example.com/": ("hooks.example.com", 443, "/"),
    "HTTPS://Hooks.Example.COM:443/a/b?c=d&e=%20f#part": ("hooks.example.com", 443, "/a/b?c=d&e=%20f"),
    "https://店铺.中国/钩子?名=值": ("xn--hxtq42j.xn--fiqs8s", 443, "/%E9%92%A9%E5%AD%90?%E5%90%8D=%E5%80%BC"),
    "https://xn--hxtq42j.xn--fiqs8s/": ("xn--hxtq42j.xn--fiqs8s", 443, "/"),
    "https://8.8.8.8/": ("8.8.8.8", 443, "/"),
    "https://[2606:4700:4700::1111]/x": ("2606:4700:4700::1111", 443, "/x"),
    "https://1password.com/": ("1password.com", 443, "/"),
    "https://0x.example.com/": ("0x.example.com", 443, "/"),
    "https://open.feishu.cn/open-apis/bot/v2/hook/xxxx": ("open.feishu.cn", 443, "/open-apis/bot/v2/hook/xxxx"),
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a-b": ("qyapi.weixin.qq.com", 443, "/cgi-bin/webhook/send?key=a-b"),
}


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_with_its_remedy(url):
    with pytest.raises(Invalid) as told:
        check_url(url)
    assert told.value.code == "url_not_allowed"
    assert told.value.problems[0].pointer == "/url"


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url_is_taken_apart(url):
    target = check_url(url)
    assert (target.host, target.port, target.target) == GOOD[url]


def test_plain_http_and_other_ports_only_where_allowed():
    assert check_url("http://hooks.example.com/", Reach(plain_http=True)).port == 80
    for url in ("http://hooks.example.com:8080/", "https://hooks.example.com:80/", "http://10.0.0.1/"):
        with pytest.raises(Invalid):
            check_url(url, Reach(plain_http=True))
    assert check_url("http://127.0.0.1:4711/x", HERE).authority == "127.0.0.1:4711"
    with pytest.raises(Invalid, match=r"write 127\.0\.0\.1"):
        check_url("http://localhost:4711/x", HERE)
    with pytest.raises(Invalid) as elsewhere:
        check_url("https://localhost/", Reach(read_networks("10.0.0.0/8")))
    assert "127.0.0.1" not in str(elsewhere.value)
    for url in ("http://8.8.8.8/", "https://8.8.8.8:4711/", "http://10.0.0.1:4711/", "https://[::ffff:127.0.0.1]/"):
        with pytest.raises(Invalid):
            check_url(url, HERE)


def test_one_inner_address_condemns_the_name():
    target = check_url("https://hooks.example.com/")
    check_addresses(target, ["93.184.216.34", "2606:4700::1111"])
    for inner in ("127.0.0.1", "10.1.2.3", "::1", "fe80::1%2", "::ffff:93.184.216.34", "169.254.169.254"):
        with pytest.raises(Invalid):
            check_addresses(target, ["93.184.216.34", inner])


def test_an_odd_port_needs_every_address_to_be_allowed():
    target = check_url("http://hooks.example.com:4711/", HERE)
    check_addresses(target, ["127.0.0.1"], HERE)
    for addresses in (["127.0.0.1", "93.184.216.34"], ["93.184.216.34"]):
        with pytest.raises(Invalid):
            check_addresses(target, addresses, HERE)


def test_networks_are_read_or_named():
    assert [str(network) for network in read_networks(" 127.0.0.0/8, fd00::/8 ,")] == ["127.0.0.0/8", "fd00::/8"]
    with pytest.raises(ValueError, match="300"):
        read_networks("300.0.0.0/8")


def test_public_addresses_are_public():
    assert all(map(is_public, ["1.1.1.1", "114.114.114.114", "2400:3200::1", "2606:4700::1111"]))


@pytest.fixture(scope="module")
def receiver():
    with running_receiver() as server:
        yield server


def send(courier, url):
    return courier.post(url, content=b"{}", headers={})


def test_the_name_is_asked_for_once_and_that_address_is_dialled(receiver):
    """DNS rebinding: a good answer for the check, another one for the connection."""
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    asked = []

    def resolver(host):
        asked.append(host)
        return next(answers)

    answer = send(Courier(HERE, resolver=resolver), f"http://rebind.example.com:{receiver.server_port}/ok")
    assert (answer.status, asked) == (204, ["rebind.example.com"])
    assert receiver.received[-1].headers["host"] == f"rebind.example.com:{receiver.server_port}"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["169.254.169.254"], ["::ffff:127.0.0.1"]])
def test_a_public_name_with_an_inner_address_is_not_dialled(addresses):
    with pytest.raises(Invalid) as told:
        send(Courier(PUBLIC, resolver=lambda _: addresses), "https://hooks.example.com/")
    assert told.value.code == "url_not_allowed"


def test_names_without_answer_or_with_a_late_one_are_unreachable():
    never = threading.Event()

    def unknown(host):
        raise socket.gaierror(-2, "Name or service not known")

    def silent(host):
        return []

    def late(host):
        never.wait(20)
        return []

    for resolver in (unknown, silent):
        with pytest.raises(Unreachable, match=r"hooks\.example\.com"):
            send(Courier(resolver=resolver), "https://hooks.example.com/")
    with pytest.raises(Unreachable, match="did not answer"):
        send(Courier(resolver=late, deadline=0.2), "https://hooks.example.com/")
    never.set()


def test_the_second_address_is_tried_when_the_first_does_not_listen(receiver):
    courier = Courier(HERE, resolver=lambda _: ["127.0.0.99", "127.0.0.1"])
    assert send(courier, f"http://two.example.com:{receiver.server_port}/ok").status == 204


def test_tls_asks_for_the_name_and_its_certificate_must_be_for_it():
    """The pinned address changes where we dial, not whom we expect there."""
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    courier = Courier(HERE, resolver=lambda _: ["127.0.0.1"], trust=trust)
    with running_receiver(CERTIFICATE) as server:
        assert send(courier, f"https://hooks.example.com:{server.server_port}/ok").status == 204
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            send(courier, f"https://other.example.com:{server.server_port}/ok")
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            send(Courier(HERE, resolver=lambda _: ["127.0.0.1"]), f"https://hooks.example.com:{server.server_port}/ok")


def test_no_proxy_of_the_environment_is_used(receiver, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(Courier(HERE), f"{receiver.url}/ok").status == 204


def test_no_redirect_is_followed(receiver):
    before = len(receiver.at("/ok"))
    assert send(Courier(HERE), f"{receiver.url}/redirect").status == 302
    assert len(receiver.at("/ok")) == before


def test_a_flood_is_cut(receiver):
    answer = send(Courier(HERE), f"{receiver.url}/huge")
    assert (answer.status, len(answer.body)) == (200, 65536)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_who_dawdles_is_left(receiver, path):
    with pytest.raises(Unreachable):
        send(Courier(HERE, deadline=0.4), receiver.url + path)


def test_what_is_not_http_is_unreachable(receiver):
    with pytest.raises(Unreachable):
        send(Courier(HERE), f"{receiver.url}/garbage")
