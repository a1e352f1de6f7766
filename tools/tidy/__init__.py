# SPDX-License-Identifier: Apache-2.0
"""tools/tidy - the rules of style that a script can read, one module per group of rules.

source.py reads the tree once; each rules_*.py has a table RULES of functions that take the Tree
and yield Problems; tidy.py beside this folder runs them and prints what they found.
"""
