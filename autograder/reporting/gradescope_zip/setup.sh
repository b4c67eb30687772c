#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the container.
set -e
root=${AUTOGRADER:-/autograder}
python3 -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
  { echo "this course needs Python 3.10 to 3.13: choose another base image, such as Ubuntu 22.04" >&2; exit 1; }
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y bubblewrap python3-venv
python3 -m venv "$root/venv"
cd "$root/source"
# Where pip would take a PyTorch build with CUDA, gigabytes larger, name an index of CPU builds in PIP_EXTRA_INDEX_URL.
"$root/venv/bin/python" -m pip install --quiet -c constraints.txt -e '.[instructor]'
