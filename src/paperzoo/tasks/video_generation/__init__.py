"""Generating videos: content that stays, motion that is the data's, the one on the other."""

from paperzoo.tasks.video_generation.contract import ConditionalVideoGenerator, VideoGenerator
from paperzoo.tasks.video_generation.task import ConditionalVideoGeneration, VideoGeneration

__all__ = ["ConditionalVideoGeneration", "ConditionalVideoGenerator", "VideoGeneration", "VideoGenerator"]
