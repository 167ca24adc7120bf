"""What of a picture a model is shown: all of it, padded to a square, or what its processor leaves.

LLaVA-1.5's authors pad the shorter side with the mean colour, the picture in the middle, before the processor makes it
smaller (`image_aspect_ratio: pad` and `expand2square` in haotian-liu/LLaVA); their figures are of such pictures. The
processor that the hub stores with the weights resizes the shorter side and cuts out the middle square: of 640 x 480 a
quarter is never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

Pictures = Literal["pad", "processor"]
"""Padded to a square first, or given to the processor as they are."""

Sight = Literal["padded", "cropped", "whole"]
"""What reaches the model: the picture in a square, its middle square, or the picture in the processor's own shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """How one model's pictures are shown; `colour` (RGB) is what padding is filled with."""

    pictures: Pictures
    sight: Sight
    colour: tuple[int, int, int]

    def show(self, picture: Image.Image) -> Image.Image:
        """The picture (RGB) as the model's processor is given it; a square one is itself."""
        side = max(picture.size)
        if self.pictures == "processor" or min(picture.size) == side:
            return picture
        square = Image.new("RGB", (side, side), self.colour)
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        return square


def frame_of(image_processor: Any, pictures: Pictures | None = None) -> Frame:
    """The frame that is asked for or, by default, padding where the processor would cut something off."""
    settings = image_processor.to_dict()
    pads = bool(settings.get("do_pad"))  # transformers' LlavaImageProcessor can do it by itself
    crops = not pads and bool(settings.get("do_center_crop")) and "shortest_edge" in dict(settings.get("size") or {})
    chosen: Pictures = pictures or ("pad" if crops else "processor")
    sight: Sight = "padded" if pads or chosen == "pad" else "cropped" if crops else "whole"
    red, green, blue = (int(255 * share) for share in settings.get("image_mean") or (0.0,) * 3)
    return Frame(pictures=chosen, sight=sight, colour=(red, green, blue))
