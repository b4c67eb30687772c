#!/bin/sh
# Certificates for grading on a cluster: sh docs/certificates.sh FOLDER writes ca.pem, node.pem and node.key into FOLDER.
# Scheduler, workers and the grading machine all show node.pem; who has none of this authority is turned away.
# Dask checks the authority, not the host's name. Keep node.key readable for you alone. After that, ca.key is not needed.
set -eu
umask 077
mkdir -p "$1"
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -subj "/CN=grading authority" -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj "/CN=grading node" -keyout node.key -out node.csr
openssl x509 -req -days 365 -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out node.pem
rm -f node.csr
