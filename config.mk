# SPDX-License-Identifier: BSD-3-Clause
# Compile-time options. Every CONFIG_ is written as 0 or 1. There are none yet: PCI and GPU
# will be the first.
CONFIG_CPPFLAGS :=
