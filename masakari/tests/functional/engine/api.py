"""The REST API as a test calls it."""

import json
import urllib.error
import urllib.request

from masakari.clock import SystemClock

STOPPED = {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"}
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": "admin:admin"}


class Api:
    """An API at a URL that ends in /v1, without authentication unless *headers* have a token."""

    def __init__(self, url, headers=None):
        self._url = url
        self._headers = HEADERS | (headers or {})

    def call(self, method, path, body=None, version="1.3", *, headers=None):
        """(status, document); status 0: nobody answered."""
        content = None if body is None else json.dumps(body).encode()
        headers = (
            self._headers | {"OpenStack-API-Version": f"instance-ha {version}"} | (headers or {})
        )
        request = urllib.request.Request(self._url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, None

    def register(self, hosts):
        """A segment with the hosts."""
        segment = {"name": "rack1", "recovery_method": "auto", "service_type": "compute"}
        uuid = self.call("POST", "/segments", {"segment": segment})[1]["segment"]["uuid"]
        for name in hosts:
            host = {"name": name, "type": "COMPUTE", "control_attributes": "SSH"}
            status, answer = self.call("POST", f"/segments/{uuid}/hosts", {"host": host})
            assert status == 201, answer

    def report(self, host):
        """The host is dead; the notification's uuid."""
        body = {
            "type": "COMPUTE_HOST",
            "hostname": host,
            "generated_time": SystemClock().now().isoformat(),
            "payload": STOPPED,
        }
        status, answer = self.call("POST", "/notifications", {"notification": body})
        assert status == 202, answer
        return answer["notification"]["notification_uuid"]

    def notifications(self):
        return (self.call("GET", "/notifications")[1] or {}).get("notifications", [])
