"""Clips: streamed from and to files, filtered over time and place, and searched for what moves."""

from __future__ import annotations

from tilewright.image.video.boxes import Box, write_boxes
from tilewright.image.video.decoding import MAX_PIXELS
from tilewright.image.video.drawing import draw_boxes, draw_map
from tilewright.image.video.motion import MotionFrame, find_motion, motion
from tilewright.image.video.reader import Frame, Video, read_video
from tilewright.image.video.regions import Regions, regions
from tilewright.image.video.spacetime import filter_frames, motion_kernel, temporal_gaussian
from tilewright.image.video.writer import VIDEO_SUFFIXES, VideoWriter, write_video

__all__ = [
    "MAX_PIXELS",
    "VIDEO_SUFFIXES",
    "Box",
    "Frame",
    "MotionFrame",
    "Regions",
    "Video",
    "VideoWriter",
    "draw_boxes",
    "draw_map",
    "filter_frames",
    "find_motion",
    "motion",
    "motion_kernel",
    "read_video",
    "regions",
    "temporal_gaussian",
    "write_boxes",
    "write_video",
]
