"""Suites and rules read a family's class without an import, and find what the class states."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from entries import IMAGE_SUITES

from genbench.errors import InputError
from genbench.suites.families import first_stage_key, needed
from genbench.suites.load import find_suite, load_suite

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [path.stem for path in IMAGE_SUITES])
def test_every_entry_of_every_suite_is_read_as_its_built_model_says(name: str) -> None:
    from genbench.data import describe
    from genbench.models import build
    from genbench.training.flops import META

    suite = load_suite(find_suite(name))
    shape = describe(suite["dataset"], "nowhere").image_shape
    for entry in suite["models"].values():
        if "model" not in entry:
            continue
        with META:
            model = build(entry["model"], shape)
        assert first_stage_key(entry["model"]) == model.first_stage
        for options in entry["samplers"].values():
            assert needed(entry["model"], options) == model.condition(options)


OWN = '''
from genbench.models.diffusevae import DiffuseVAE as Base
from genbench.models import Model


class Told(Model):
    needs = {"labels": {"told": True}, "images": {}}

    def __init__(self, *, told: bool = True) -> None: ...


class Refined(Base):
    """Inherits what it does not say itself."""


class Other(Refined):
    first_stage = "sketch"
    needs = {}
'''


def test_an_own_file_is_read_with_what_its_classes_inherit(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(OWN)
    told, refined, other = ({"class": f"{tmp_path}/my.py:{name}"} for name in ("Told", "Refined", "Other"))
    assert needed(told, {}) == "labels"  # the constructor's default
    assert needed(told | {"told": False}, {}) == "images"  # the condition of "images" is always met
    assert needed(told, {"told": False}) == "images"  # a sampler's option takes precedence
    assert (first_stage_key(told), first_stage_key(refined), first_stage_key(other)) == (None, "vae", "sketch")
    assert needed(refined | {"multi_label": True}, {}) == "labels"
    assert needed(other | {"multi_label": True}, {}) == "nothing"


@pytest.mark.parametrize(
    ("line", "base"),
    [
        ("from genbench.models import diffusevae", "diffusevae.DiffuseVAE"),
        ("import genbench.models.diffusevae", "genbench.models.diffusevae.DiffuseVAE"),
        ("import genbench.models.diffusevae as family", "family.DiffuseVAE"),
        ("from genbench.models.diffusevae import DiffuseVAE", "DiffuseVAE"),
    ],
)
def test_a_base_class_is_found_however_it_is_imported(line: str, base: str, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(f"{line}\n\n\nclass DiffuseVAE({base}): ...\n")
    assert first_stage_key({"class": f"{tmp_path}/my.py:DiffuseVAE"}) == "vae"


def test_what_a_class_states_otherwise_than_by_a_literal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text("class Flow(Flow):\n    first_stage: str\n    needs = dict(labels={})\n")
    with pytest.raises(InputError, match=r"my.py: Flow: needs: found dict\(labels={}\), expected a literal"):
        needed({"class": f"{tmp_path}/my.py:Flow"}, {})


def test_a_file_that_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text("class Flow:\n    needs = {\n")
    with pytest.raises(InputError, match=r"my.py: line \d: not valid Python"):
        needed({"class": f"{tmp_path}/my.py:Flow"}, {})


def test_a_first_stage_of_a_family_that_has_none_is_refused(tmp_path: Path) -> None:
    model = "{model: {class: vae.VAE}, training: {steps: 1, batch_size: 2}"
    (tmp_path / "s.yaml").write_text(
        f"title: t\ndataset: {{source: demo}}\nmodels:\n  a: {model}}}\n  b: {model}, first_stage: a}}\n"
    )
    with pytest.raises(InputError, match=r"models: b: first_stage: found 'a', but vae\.VAE builds upon no other entry"):
        load_suite(tmp_path / "s.yaml")


def test_planning_needs_no_torch() -> None:
    code = f"import sys\nfrom genbench.suites import families\n{inspect.getsource(plan)}plan(families)\n"
    code += "assert 'torch' not in sys.modules"
    job = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr


def plan(families) -> None:
    assert families.needed({"class": "diffusion.Diffusion", "multi_label": True}, {}) == "labels"
    assert families.needed({"class": "cold.ColdDiffusion"}, {"mode": "reconstruct"}) == "images"
    assert families.first_stage_key({"class": "diffusevae.DiffuseVAE"}) == "vae"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "{class: ./my.py:Mine, restorer: {class: plain_cnn.PlainCNN}}",
            "samplers: default: found a sampler that starts from images, but the class states that it starts from "
            "nothing; expected `needs` of Mine to say so",
        ),
        (
            "{class: diffusevae.DiffuseVAE, vae: {class: vae.VAE}, denoiser: {class: unet.UNet, channel_mult: [1, 2]}}",
            "key 'first_stage' is missing: DiffuseVAE builds upon another entry's training; expected first_stage: NAME "
            "beside model, instead of 'vae' in it",
        ),
    ],
)
def test_a_check_refuses_what_no_rule_could_plan(model: str, expected: str, tmp_path: Path) -> None:
    from genbench.suites.preflight import check_suite

    (tmp_path / "my.py").write_text(
        "from genbench.models.cold import ColdDiffusion\n\n\n"
        "class Mine(ColdDiffusion):\n    def condition(self, options):\n        return 'images'\n"
    )
    path = tmp_path / "s.yaml"
    path.write_text(
        "title: t\ndataset: {source: demo}\nnum_samples: 1000\n"
        f"models:\n  a: {{model: {model}, training: {{steps: 1, batch_size: 2}}}}\n"
    )
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: models: a: {expected}')}$"):
        check_suite(load_suite(path), "none", str(path))


def test_a_checkpoint_with_attention_at_a_size_that_does_not_occur_is_still_built() -> None:
    from entries import DDPM, IMAGE_SHAPE

    from genbench.models import build
    from genbench.suites.entries import check_idle

    model = build({**DDPM, "denoiser": {**DDPM["denoiser"], "attention_resolutions": [8, 5]}}, IMAGE_SHAPE)
    with pytest.raises(InputError, match="denoiser: key 'attention_resolutions': found 5, expected some of 8, 4"):
        check_idle(model, {**DDPM, "denoiser": {**DDPM["denoiser"], "attention_resolutions": [8, 5]}})
