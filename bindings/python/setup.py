# Builds kill9.SharedDict from the installed libkill9-store.
import subprocess

from setuptools import Extension, setup


def flags(kind):
    return subprocess.check_output(["pkg-config", kind, "kill9-store"], text=True).split()


setup(
    name="kill9",
    version="0.1",
    ext_modules=[
        Extension(
            "kill9",
            ["kill9module.c"],
            extra_compile_args=flags("--cflags"),
            extra_link_args=flags("--libs"),
        )
    ],
)
