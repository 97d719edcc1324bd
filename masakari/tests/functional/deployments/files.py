"""Configuration files as the tools lay them down that deploy OpenStack; paths lie below *root*.

$DATABASE, $KEYSTONE, $PORT, $ROOT, $BIN and $VENV are filled in.  uWSGI's `env = …` comes with the
environment instead: in PyPI's build of uWSGI Python runs before its options are read.
"""

API_PASTE = """\
[composite:masakari_api]
use = call:masakari.api.urlmap:urlmap_factory
/: apiversions
/v1: masakari_api_v1

[composite:masakari_api_v1]
use = call:masakari.api.auth:pipeline_factory_v1
keystone = cors http_proxy_to_wsgi request_id faultwrap sizelimit audit authtoken keystonecontext \
osapi_masakari_app_v1

[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
oslo_config_project = masakari

[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware.http_proxy_to_wsgi:HTTPProxyToWSGI.factory

[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory

[filter:faultwrap]
paste.filter_factory = masakari.api.openstack:FaultWrapper.factory

[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory

[filter:audit]
paste.filter_factory = keystonemiddleware.audit:filter_factory
audit_map_file = /etc/masakari/api_audit_map.conf

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory

[filter:keystonecontext]
paste.filter_factory = masakari.api.auth:MasakariKeystoneContext.factory

[app:osapi_masakari_app_v1]
paste.app_factory = masakari.api.openstack.ha:APIRouterV1.factory

[pipeline:apiversions]
pipeline = faultwrap http_proxy_to_wsgi apiversionsapp

[app:apiversionsapp]
paste.app_factory = masakari.api.openstack.ha.versions:Versions.factory
"""
POLICY = '"os_masakari_api:segments:index": "rule:admin_api"\n'

KOLLA = {
    "etc/masakari/masakari.conf": """\
[DEFAULT]
debug = False
log_dir = $ROOT/var/log/kolla/masakari
transport_url = rabbit://openstack:secret@127.0.0.1:1//
enabled_apis = osapi_masakari
masakari_api_workers = 1
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = $PORT
use_ssl = false
state_path = $ROOT/var/lib/masakari
os_user_domain_name = default
os_project_domain_name = default
os_privileged_user_tenant = service
os_privileged_user_auth_url = $KEYSTONE
os_privileged_user_name = masakari
os_privileged_user_password = secret
nova_catalog_admin_info = compute:nova:internalURL
os_region_name = RegionOne

[wsgi]
api_paste_config = $ROOT/etc/masakari/api-paste.ini

[keystone_authtoken]
service_type = instance-ha
www_authenticate_uri = $KEYSTONE
auth_url = $KEYSTONE
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = masakari
password = secret
region_name = RegionOne
memcache_security_strategy = None

[database]
connection = $DATABASE
connection_recycle_time = 10
max_pool_size = 1
max_overflow = 1000
max_retries = -1

[taskflow]
connection = $DATABASE

[oslo_concurrency]
lock_path = $ROOT/var/lib/masakari/tmp

[oslo_messaging_notifications]
driver = noop

[oslo_messaging_rabbit]
heartbeat_in_pthread = false
rabbit_quorum_queue = true

[oslo_middleware]
enable_proxy_headers_parsing = True

[oslo_policy]
policy_file = policy.yaml
""",
    "etc/masakari/api-paste.ini": API_PASTE,
    "etc/masakari/policy.yaml": POLICY,
    "etc/masakari-monitors/masakari-monitors.conf": """\
[DEFAULT]
state_path = $ROOT/var/lib/masakari-monitors
debug = False
log_dir = $ROOT/var/log/kolla/masakari

[api]
region = RegionOne
auth_url = $KEYSTONE
user_domain_id = default
project_name = service
project_domain_id = default
username = masakari
password = secret
api_interface = internal

[host]
monitoring_driver = default
monitoring_interval = 1
monitoring_samples = 2
restrict_to_remotes = true
disable_ipmi_check = true
pacemaker_node_type = remote
corosync_multicast_interfaces = eth0
corosync_multicast_ports = 5405

[libvirt]
connection_uri = "qemu+tcp://127.0.0.1/system"

[callback]
retry_max = 12
""",
}
"""kolla-ansible: one file for API (in Apache) and engine, the monitors' in a place of its own."""

OPENSTACK_ANSIBLE = {
    "etc/masakari/masakari.conf": """\
[DEFAULT]
debug = False
use_journal = True
fatal_deprecations = False
auth_strategy = keystone
enabled_apis = osapi_masakari
host_failure_recovery_threads = 3
wait_period_after_power_off = 60
masakari_api_workers = 1
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = $PORT
state_path = $ROOT/var/lib/masakari
os_privileged_user_tenant = service
os_privileged_user_name = masakari
os_privileged_user_password = secret
os_privileged_user_auth_url = $KEYSTONE
nova_catalog_admin_info = compute:Compute Service:publicURL
transport_url = rabbit://masakari:secret@127.0.0.1:1//masakari?ssl=0

[wsgi]
api_paste_config = $ROOT/etc/masakari/api-paste.ini

[database]
connection = $DATABASE

[taskflow]
connection = $DATABASE

[coordination]
backend_url = file://$ROOT/var/lib/masakari/locks

[keystone_authtoken]
insecure = False
auth_type = password
auth_url = $KEYSTONE
www_authenticate_uri = $KEYSTONE
project_domain_id = default
user_domain_id = default
project_name = service
username = masakari
password = secret
region_name = RegionOne
service_token_roles_required = True
service_token_roles = service
service_type = instance-ha

[oslo_messaging_notifications]
driver = messagingv2
transport_url = rabbit://masakari:secret@127.0.0.1:1//masakari

[oslo_messaging_rabbit]
ssl = False
heartbeat_in_pthread = True
""",
    "etc/masakari/api-paste.ini": API_PASTE,
    "etc/uwsgi/masakari-api.ini": """\
[uwsgi]
virtualenv = $VENV
wsgi-file = $BIN/masakari-wsgi
http-socket = 127.0.0.1:$PORT
master = true
lazy-apps = true
enable-threads = true
processes = 2
threads = 2
die-on-term = true
add-header = Connection: close
buffer-size = 65535
thunder-lock = true
""",
    "etc/masakarimonitors/masakarimonitors.conf": """\
[DEFAULT]
state_path = $ROOT/var/lib/masakari-monitors
use_journal = True

[api]
www_authenticate_uri = $KEYSTONE
auth_url = $KEYSTONE
region = RegionOne
api_version = v1
api_interface = internal
project_domain_id = default
user_domain_id = default
project_name = service
username = masakari
password = secret

[host]
monitoring_interval = 1
disable_ipmi_check = False
corosync_multicast_interfaces = br-mgmt
corosync_multicast_ports = 5405

[process]
process_list_path = $ROOT/etc/masakarimonitors/process_list.yaml
""",
}
"""OpenStack-Ansible: the API in uWSGI, logs to the journal."""

HELM = {
    "etc/masakari/masakari.conf": """\
[DEFAULT]
log_config_append = $ROOT/etc/masakari/logging.conf
auth_strategy = keystone
duplicate_notification_detection_interval = 180
host_failure_recovery_threads = 1
masakari_api_workers = 1
masakari_api_listen = 127.0.0.1
masakari_api_listen_port = $PORT
state_path = $ROOT/var/lib/masakari
graceful_shutdown_timeout = 10
transport_url = rabbit://masakari:secret@127.0.0.1:1/masakari
os_privileged_user_tenant = service
os_privileged_user_name = masakari
os_privileged_user_password = secret
os_privileged_user_auth_url = $KEYSTONE

[wsgi]
api_paste_config = $ROOT/etc/masakari/api-paste.ini

[database]
connection = $DATABASE
max_retries = -1

[keystone_authtoken]
auth_type = password
auth_version = v3
service_type = instance-ha
auth_url = $KEYSTONE
project_domain_id = default
user_domain_id = default
project_name = service
username = masakari
password = secret

[oslo_messaging_notifications]
driver = log

[osapi_v1]
extensions_whitelist =

[taskflow]
connection = $DATABASE
""",
    "etc/masakari/api-paste.ini": API_PASTE,
    "etc/masakari/policy.yaml": "{}\n",
    "etc/masakari/logging.conf": """\
[loggers]
keys = root,masakari

[handlers]
keys = file

[formatters]
keys = context

[logger_root]
level = WARNING
handlers = file

[logger_masakari]
level = INFO
handlers = file
qualname = masakari
propagate = 0

[handler_file]
class = FileHandler
args = ('$ROOT/var/log/pod.log',)
formatter = context

[formatter_context]
class = oslo_log.formatters.ContextFormatter
""",
    "etc/masakari/masakarimonitors.conf": """\
[DEFAULT]
state_path = $ROOT/var/lib/masakari-monitors
debug = false

[api]
api_interface = internal
region = RegionOne
auth_url = $KEYSTONE
user_domain_id = default
project_domain_id = default
project_name = service
username = masakari
password = secret

[host]
disable_ipmi_checks = true
monitoring_driver = default

[introspectiveinstancemonitor]
guest_monitor_interval = 10
guest_monitor_timeout = 2
""",
    "tmp/pod-shared/masakarimonitors.conf": """\
[DEFAULT]
hostname = compute-of-this-pod
log_file = $ROOT/var/log/pod.log

[host]
monitoring_interval = 1
""",
}
"""openstack-helm: logging by a file of its own, two files for the monitors."""

DEBIAN = {
    "home/.masakari/masakari.conf": """\
[DEFAULT]
state_path = $ROOT/var/lib/masakari
transport_url = rabbit://openstack:secret@127.0.0.1:1
masakari_api_listen = 127.0.0.1
masakari_api_workers = 4
log_dir = $ROOT/var/log/masakari

[database]
connection = sqlite:////nowhere/masakaridb

[keystone_authtoken]
auth_type = password
auth_url = $KEYSTONE
username = masakari
password = overlaid
project_name = service
project_domain_name = Default
user_domain_name = Default
""",
    "home/.masakari/masakari.conf.d/10-database.conf": "[database]\nconnection = $DATABASE\n",
    "home/.masakari/masakari.conf.d/20-site.conf": """\
[DEFAULT]
masakari_api_workers = 1
masakari_api_listen_port = $PORT
[keystone_authtoken]
password = secret
""",
    "home/.masakari-monitors/masakari-monitors.conf": """\
[DEFAULT]
state_path = $ROOT/var/lib/masakari-monitors
log_dir = $ROOT/var/log/masakari
[api]
auth_url = $KEYSTONE
username = masakari
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
""",
    "home/.masakari-monitors/masakari-monitors.conf.d/host.conf": (
        "[host]\nmonitoring_driver = nova\nmonitoring_interval = 1\n"
    ),
    "etc/masakari/masakari-api-uwsgi.ini": """\
[uwsgi]
virtualenv = $VENV
module = masakari.wsgi.api:application
http-socket = 127.0.0.1:$PORT
master = true
lazy-apps = true
enable-threads = true
processes = 1
die-on-term = true
""",
}
"""Debian: files where the programs look for them by themselves, and directories that overlay."""
