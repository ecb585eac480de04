#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed_page.py PAGE HEADER: makes a C++ header of the page, and a Content-Security-Policy that
allows the one script and the one style in it by their hashes, and nothing else."""

import base64
import hashlib
import pathlib
import re
import sys


def hash_of(page, tag):
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    if len(found) != 1:
        sys.exit(f"embed_page.py: {len(found)} elements <{tag}> in the page: it must have one")
    return "'sha256-" + base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode() + "'"


def main(source, header):
    page = pathlib.Path(source).read_text(encoding="utf-8")
    policy = "; ".join([
        "default-src 'none'", "connect-src 'self'", "img-src data:",
        "script-src " + hash_of(page, "script"), "style-src " + hash_of(page, "style"),
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
    pathlib.Path(header).write_text(
        "// Made of page.html by embed_page.py.\n#pragma once\n\n"
        "namespace aatgs::monitor {\n\n"
        f'inline constexpr const char* page_html = R"PAGE({page})PAGE";\n'
        f'inline constexpr const char* page_policy = R"PAGE({policy})PAGE";\n\n'
        "}  // namespace aatgs::monitor\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
