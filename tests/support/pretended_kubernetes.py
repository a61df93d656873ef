"""A stand-in for a Kubernetes cluster: the part of its API that snakemake-executor-plugin-kubernetes uses.

A pod is a process on this machine, in an empty folder, with only the variables of its image and its specification.
Requests that a real cluster refuses are also refused, if that matters here. It does not have images, nodes with GPUs,
volumes or accounts; limits are recorded, but not enforced.
"""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti|)")
UNITS = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", start=1)
}


class RefusalError(Exception):
    """The API server's refusal: a status, a reason and a message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


def quantity(text: str) -> float:
    """The value of an amount such as 950m or 8000M."""
    found = QUANTITY.fullmatch(text)
    if not found:
        raise RefusalError(422, "Invalid", f"quantities must match the regular expression {QUANTITY.pattern}: {text}")
    return float(found[1]) * UNITS[found[2]]


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise RefusalError(
            422, "Invalid", f"metadata.name: {name}: must be a lower-case label of at most 63 characters"
        )


def check_resources(container: Mapping[str, Any]) -> None:
    """Check that requests do not exceed limits; for resources such as GPUs, both must be the same whole number."""
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name in {*requests, *limits}:
        amounts = [quantity(given[name]) for given in (requests, limits) if name in given]
        if "/" in name:
            if any(amount != int(amount) for amount in amounts):
                raise RefusalError(422, "Invalid", f"{name}: must be an integer")
            if name not in limits:
                raise RefusalError(422, "Invalid", f"{name}: limit must be set for non overcommitable resources")
            if amounts[0] != amounts[-1]:
                raise RefusalError(422, "Invalid", f"{name}: request must be equal to the limit")
        if amounts[0] > amounts[-1]:
            raise RefusalError(422, "Invalid", f"{name}: request must be less than or equal to the limit")


@dataclass
class Pod:
    """A job and its only pod, whose /workdir is `folder`."""

    name: str
    spec: dict[str, Any]
    folder: Path
    deleted: bool = False
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.spec["containers"]
        return dict(container)

    @property
    def command(self) -> str:
        return str(self.container["args"][-1])

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def kill(self) -> None:
        """Kill all of its processes, as the kernel does when memory runs out."""
        with self.lock:
            if self.process is not None and self.exit_code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)

    def run(self, environment: Mapping[str, str]) -> None:
        """Run it to its end. All of its processes are one group, which ends with it."""
        self.folder.mkdir()
        with self.log.open("wb") as log:
            with self.lock:
                self.process = subprocess.Popen(
                    [*self.container["command"], *self.container["args"]],
                    cwd=self.folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.process.wait()
            self.kill()
            code = self.process.returncode
            self.exit_code = code if code >= 0 else 128 - code  # a container's code: 137 after SIGKILL

    def status(self) -> dict[str, Any]:
        """Return the status in the API's format, with the container's status once there is one."""
        if self.process is None:
            return {"phase": "Pending"}
        state: dict[str, Any] = {"running": {}}
        phase = "Running"
        if self.exit_code is not None:
            state = {"terminated": {"exitCode": self.exit_code}}
            phase = "Failed" if self.exit_code else "Succeeded"
        about = {"image": self.container["image"], "imageID": "", "ready": phase == "Running", "restartCount": 0}
        return {"phase": phase, "containerStatuses": [{"name": self.container["name"], "state": state, **about}]}


class Cluster:
    """A context in which the cluster answers at `url`.

    folder: for the pods. image: the variables of the image, including PATH. room: how many pods run at a time; others
    wait.
    """

    def __init__(self, folder: Path, image: Mapping[str, str], room: int) -> None:
        self.folder, self.image, self.room = folder, image, threading.Semaphore(room)
        self.secrets: dict[str, dict[str, str]] = {}
        self.pods: dict[str, Pod] = {}  # of all jobs so far, in the order of their submission
        self.refusals: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Cluster":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        for pod in self.pods.values():
            pod.deleted = True
            pod.kill()

    def write_kubeconfig(self, path: Path) -> None:
        """Write the file from which kubectl and other clients read the cluster's address."""
        named = {
            "clusters": [{"name": "it", "cluster": {"server": self.url}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "it", **named}))

    def environment(self, pod: Pod) -> dict[str, str]:
        """Return a container's variables: the image's, and those of its specification, which come from secrets."""
        found = dict(self.image)
        for variable in pod.container.get("env", []):
            key = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = base64.b64decode(self.secrets[key["name"]][key["key"]]).decode()
        return found

    def start(self, pod: Pod) -> None:
        with self.room:
            if not pod.deleted:
                pod.run(self.environment(pod))

    # --- Requests to the API ------------------------------------------------------------------------------------------

    def create_secret(self, body: dict[str, Any]) -> dict[str, Any]:
        check_name(body["metadata"]["name"])
        self.secrets[body["metadata"]["name"]] = body.get("data", {})
        return body

    def delete_secret(self, name: str) -> dict[str, Any]:
        if self.secrets.pop(name, None) is None:
            raise RefusalError(404, "NotFound", f'secrets "{name}" not found')
        return {"kind": "Status", "status": "Success"}

    def create_job(self, body: dict[str, Any]) -> dict[str, Any]:
        name, spec = body["metadata"]["name"], body["spec"]["template"]["spec"]
        check_name(name)
        if name in self.pods:
            raise RefusalError(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        if spec["restartPolicy"] not in ("Never", "OnFailure"):
            raise RefusalError(422, "Invalid", "spec.template.spec.restartPolicy: must be Never or OnFailure")
        for container in spec["containers"]:
            check_resources(container)
        self.pods[name] = Pod(name, spec, self.folder / name)
        threading.Thread(target=self.start, args=[self.pods[name]], daemon=True).start()
        return body

    def job(self, name: str) -> Pod:
        if name not in self.pods or self.pods[name].deleted:
            raise RefusalError(404, "NotFound", f'jobs.batch "{name}" not found')
        return self.pods[name]

    def read_job(self, name: str) -> dict[str, Any]:
        code = self.job(name).exit_code
        return {"metadata": {"name": name}, "status": {} if code is None else {"failed" if code else "succeeded": 1}}

    def delete_job(self, name: str) -> dict[str, Any]:
        pod = self.job(name)
        pod.deleted = True
        pod.kill()
        return {"kind": "Status", "status": "Success"}

    def list_pods(self, selector: str) -> dict[str, Any]:
        key, _, name = selector.partition("=")
        pod = self.pods.get(name)
        if key != "job-name":
            raise RefusalError(400, "BadRequest", f"labels that are not pretended: {selector}")
        found = [{"metadata": {"name": f"{name}-0"}, "status": pod.status()}] if pod and not pod.deleted else []
        return {"kind": "PodList", "items": found}

    def delete_pod(self, name: str) -> dict[str, Any]:
        self.job(name.removesuffix("-0")).kill()
        return {"metadata": {"name": name}}

    def read_log(self, name: str, container: str, previous: bool) -> str:
        """Return the log. A previous container exists only after a restart, and there are none here."""
        pod = self.job(name.removesuffix("-0"))
        if previous or pod.process is None:
            message = f'previous terminated container "{container}" in pod "{name}" not found'
            raise RefusalError(
                400, "BadRequest", message if previous else f'container "{container}" is waiting to start'
            )
        return pod.log.read_text(errors="replace")

    def answer(self, method: str, path: str, query: Mapping[str, str], body: dict[str, Any]) -> dict[str, Any] | str:
        match method, path.strip("/").split("/"):
            case "POST", ["api", "v1", "namespaces", _, "secrets"]:
                return self.create_secret(body)
            case "DELETE", ["api", "v1", "namespaces", _, "secrets", name]:
                return self.delete_secret(name)
            case "POST", ["apis", "batch", "v1", "namespaces", _, "jobs"]:
                return self.create_job(body)
            case "GET", ["apis", "batch", "v1", "namespaces", _, "jobs", name, "status"]:
                return self.read_job(name)
            case "DELETE", ["apis", "batch", "v1", "namespaces", _, "jobs", name]:
                return self.delete_job(name)
            case "GET", ["api", "v1", "namespaces", _, "pods"]:
                return self.list_pods(query["labelSelector"])
            case "DELETE", ["api", "v1", "namespaces", _, "pods", name]:
                return self.delete_pod(name)
            case "GET", ["api", "v1", "namespaces", _, "pods", name, "log"]:
                return self.read_log(name, query["container"], query.get("previous", "false").lower() == "true")
        raise RefusalError(404, "NotFound", f"not pretended: {method} {path}")


class Handler(BaseHTTPRequestHandler):
    """HTTP for a cluster."""

    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        status = 200
        try:
            answer = self.cluster.answer(self.command, parts.path, query, body)
        except RefusalError as refused:
            status = refused.status
            answer = {"kind": "Status", "status": "Failure", "reason": refused.reason, "message": str(refused)}
            self.cluster.refusals.append(str(refused))
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = handle_one  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the cluster keeps the refusals."""
