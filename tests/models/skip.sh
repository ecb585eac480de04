#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# skip.sh PACKAGE: a test that cannot run without it.
echo "skipped: $1 is not installed (tools/setup.sh installs it)"
exit 77
