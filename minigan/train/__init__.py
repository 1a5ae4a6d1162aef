"""The two-player step, the run around it, and its record."""

from minigan.train.checkpoint import Checkpoint
from minigan.train.launch import resume, start
from minigan.train.record import Config, Run
from minigan.train.sampling import choose, generate, load_autoencoder, load_generator
from minigan.train.setup import build_game, draw_z, set_schedules
from minigan.train.step import Game, play_step
from minigan.train.trainer import Summary

__all__ = [
    "Checkpoint", "Config", "Game", "Run", "Summary", "build_game", "choose", "draw_z", "generate",
    "load_autoencoder", "load_generator", "play_step", "resume", "set_schedules", "start",
]  # fmt: skip
