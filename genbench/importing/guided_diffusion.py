"""U-Nets of OpenAI's guided diffusion (Dhariwal & Nichol 2021, arXiv 2105.05233), as its training saves them.

They are those of improved diffusion with three more options. Two of these leave no trace in a file.
"""

from typing import Any, Literal

from genbench.errors import InputError
from genbench.importing import improved_diffusion as improved
from genbench.importing.source import Imported, Path
from genbench.importing.states import read_content, state_of
from genbench.ranges import Count, Side, StepCount


def guided_diffusion(
    path: Path,
    *,
    image_size: Side,
    timesteps: StepCount,
    schedule: Literal["linear", "cosine"],
    num_heads: Count = 4,
    num_heads_upsample: Count | Literal[-1] = -1,
    num_head_channels: Count | Literal[-1] = -1,
    use_new_attention_order: bool = False,
    rescale_timesteps: bool = False,
    prediction: Literal["eps", "x0"] = "eps",
    key: str | None = None,
) -> Imported:
    """A model with or without classes; options are those of the authors' command, with their defaults.

    image_size: Side of the images.
    timesteps: The authors' --diffusion_steps; no default, since another value draws noise.
    schedule: The authors' --noise_schedule; no default, since another value draws noise.
    num_heads: Heads of each attention.
    num_heads_upsample: Heads on the way up; -1 means as many as elsewhere.
    num_head_channels: Channels of a head, instead of num_heads; -1 means that num_heads is used.
    use_new_attention_order: The authors' option: q, k and v are split before the heads.
    rescale_timesteps: Whether the network receives t rescaled to 1000 steps.
    prediction: What the network predicts: the noise eps, or x0 (the authors' --predict_xstart).
    key: The state dict to read, if the file holds several.
    """
    up = num_heads if num_heads_upsample == -1 else num_heads_upsample
    heads = {"num_heads": num_heads} | ({} if up == num_heads else {"up_num_heads": up})
    if num_head_channels != -1:
        heads = {"head_channels": num_head_channels}
    content, files = read_content(path)
    state, taken = state_of(content, path, key)
    learned_variance = improved.learns_variance(state, path)
    entry: dict[str, Any] = {
        "class": "diffusion.Diffusion",
        "timesteps": timesteps,
        "schedule": improved.named_schedule(schedule, timesteps),
        "prediction": prediction,
        "time_input": "rescaled" if rescale_timesteps else "index",
        **({"learned_variance": True, "loss": "hybrid"} if learned_variance else {"variance": "large"}),
        **improved.classes(state),
        "denoiser": improved.denoiser(state, image_size, heads, path, who="guided"),
    }
    first, embedding = state["input_blocks.0.0.weight"].shape[0], state.get("time_embed.0.weight")
    if embedding is not None and embedding.shape[1] != first:
        raise InputError(
            f"{path}: found a first layer of {first} channels beside num_channels {embedding.shape[1]}, of a "
            "channel_mult that does not begin with 1; expected 1, the only one built here"
        )
    reading = {"heads_first": not use_new_attention_order, "who": "guided"}
    return improved.imported(state, entry, image_size, path, files, taken, **reading)
