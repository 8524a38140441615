# SPDX-License-Identifier: BSD-3-Clause
ARCH_DIRS := arch/devicetree
