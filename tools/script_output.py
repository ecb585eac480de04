# SPDX-License-Identifier: Apache-2.0
"""What the scripts here share to write their results: whole, or not at all.

All of it raises OSError with one sentence that says what could not be written, and why.
"""

import contextlib
import errno
import os
import pathlib
import sys


def print_whole(text):
    """Prints it and sees that it got out. A reader that has had enough is no error."""
    if sys.stdout is None:
        raise OSError("the standard output is closed: send it to a file, or to /dev/null")
    try:
        print(text, flush=True)
    except OSError as error:
        # Python writes what is left once more as it ends, and would complain in lines of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OSError(f"cannot write to the standard output: {error.strerror}") from error


def require_replaceable(path):
    """For before long work: raises where replace_file would. Leaves no trace."""
    with said_plainly(path):
        if not must_be_kept(path):
            with temporary_beside(target_of(path)) as temporary:
                temporary.touch()


def replace_file(path, text):
    """Puts the text in the place of the file, or leaves that, or its absence, as it was."""
    with said_plainly(path):
        if must_be_kept(path):
            path.write_text(text, encoding="utf-8")
            return
        with temporary_beside(target_of(path)) as temporary:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(target_of(path))


@contextlib.contextmanager
def said_plainly(path):
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def temporary_beside(target):
    """The name of a file that is gone at the end, unless it has taken its place."""
    temporary = target.with_name(f"{target.name}.tmp{os.getpid()}")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def must_be_kept(path):
    """Renaming over a device or a pipe would put a plain file in its place."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    return path.exists() and not path.is_file()


def target_of(path):
    """What is to be replaced: a symbolic link stays one."""
    return pathlib.Path(os.path.realpath(path))
