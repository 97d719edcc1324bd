"""Version documents and microversions."""

import pytest

VERSION = {
    "id": "v1.0",
    "status": "CURRENT",
    "version": "1.4",
    "min_version": "1.0",
    "updated": "2016-07-01T11:33:21Z",
}
MEDIA_TYPES = [
    {"base": "application/json", "type": "application/vnd.openstack.masakari+json;version=1"}
]


@pytest.fixture
def root(api):
    """A client of everything, without a token."""
    api.root, api.headers = "", {}
    return api


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["", "/"])
def test_root_lists_versions_without_a_token(root, method, path):
    answer = root.send(method, path)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    links = [{"rel": "self", "href": "http://localhost/v1/"}]
    assert answer.json == {"versions": [VERSION | {"links": links}]}
    assert "OpenStack-API-Version" not in answer.headers
    assert "X-Openstack-Request-Id" not in answer.headers


@pytest.mark.parametrize("path", ["", "/", "/versions/v1.0", "/versions"])
def test_v1_shows_its_document(api, path):
    answer = api.get(path)

    assert answer.status == 200
    assert answer.json == {
        "version": VERSION
        | {
            "links": [
                {"rel": "self", "href": "http://localhost/v1/"},
                {
                    "rel": "describedby",
                    "type": "text/html",
                    "href": "https://docs.openstack.org/",
                },
            ],
            "media-types": MEDIA_TYPES,
        }
    }


@pytest.mark.parametrize(
    ("path", "link"),
    [("/foo", "/v1/foo"), ("/v2/", "/v1/v2"), ("/foo/bar", "/v1/foo/bar"), ("/v10", "/v1/v10")],
)
def test_elsewhere_there_are_choices(root, path, link):
    answer = root.get(path)

    assert answer.status == 300
    assert answer.json == {
        "choices": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": "http://localhost" + link}],
                "media-types": MEDIA_TYPES,
            }
        ]
    }


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/segments/../x"])
def test_below_a_prefix_links_have_it(api, path):
    api.root = ""
    api.environ = {"SCRIPT_NAME": "/instance-ha"}

    assert api.get("/").json["versions"][0]["links"][0]["href"].endswith("host/instance-ha/v1/")
    assert api.get("/v1").json["version"]["links"][0]["href"].endswith("host/instance-ha/v1/")
    assert api.get("/v1/segments").status == 200


def test_link_prefix_replaces_the_host_and_prefixes_the_path(root, conf):
    conf.set_override("osapi_masakari_link_prefix", "https://cloud.example.com/ha")

    listed = root.get("/").json["versions"][0]["links"][0]["href"]
    document = root.get("/v1/").json["version"]["links"][0]["href"]

    assert listed == document == "https://cloud.example.com/ha/v1/"


@pytest.mark.parametrize(
    ("enabled", "url"), [(True, "https://cloud.example.com/v1/"), (False, "http://localhost/v1/")]
)
def test_proxy_headers_count_where_they_are_enabled(root, conf, enabled, url):
    conf.set_override("enable_proxy_headers_parsing", enabled, "oslo_middleware")

    answer = root.get(
        "/", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example.com"}
    )

    assert answer.json["versions"][0]["links"][0]["href"] == url


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, "1.0"),
        ("instance-ha 1.0", "1.0"),
        ("instance-ha 1.1", "1.1"),
        ("instance-ha 1.3", "1.3"),
        ("instance-ha 1.4", "1.4"),
        ("instance-ha latest", "1.4"),
        ("INSTANCE-HA 1.1", "1.1"),
        ("masakari 1.2", "1.0"),
        ("compute 2.53", "1.0"),
        ("compute 2.53, instance-ha 1.1", "1.1"),
        ("compute nonsense", "1.0"),
    ],
)
@pytest.mark.parametrize("path", ["/segments", "/segments/unknown", ""])
def test_version_is_negotiated_and_told(api, path, header, version):
    answer = api.get(path, headers={"OpenStack-API-Version": header} if header else {})

    assert answer.status in (200, 404)
    assert answer.headers["OpenStack-API-Version"] == f"instance-ha {version}"
    assert answer.headers["Vary"] == "OpenStack-API-Version"
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")


@pytest.mark.parametrize("version", ["abc", "1.0.0", "1", "01.1", "1.01", "1.", "-1.0", "1.1 x"])
def test_malformed_version_is_a_bad_request(api, version):
    refused = api.get("/segments", version=version)

    assert (refused.status, refused.error[0]) == (400, "badRequest")
    assert version in refused.error[1]
    assert "OpenStack-API-Version" not in refused.headers


@pytest.mark.parametrize("version", ["1.5", "2.0", "9" * 20 + ".0", "1." + "9" * 5000])
def test_unknown_version_is_not_acceptable(api, version):
    for refused in (
        api.get("/segments", version=version),
        api.post("/segments", {}, version=version),
    ):
        assert (refused.status, refused.error[0]) == (406, "masakariFault")
        assert "1.4" in refused.error[1]
        assert len(refused.error[1]) < 200
        assert refused.headers["Vary"] == "OpenStack-API-Version"
        assert "OpenStack-API-Version" not in refused.headers


@pytest.mark.parametrize("version", ["1.0", "1.4", "new"])
def test_unknown_path_has_no_version(api, version):
    refused = api.get("/nowhere", version=version)

    assert (refused.status, refused.error[0]) == (404, "itemNotFound")
    assert "OpenStack-API-Version" not in refused.headers
    assert "Vary" not in refused.headers
