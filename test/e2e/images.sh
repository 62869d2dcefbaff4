#!/usr/bin/env bash
# Builds the images of the end-to-end test, tagged e2e, and loads them into the cluster:
#
#   test/e2e/images.sh            build and load
#   test/e2e/images.sh build      build only, and say how long it took and how large they are
#
# BUILDER  docker or buildah; whichever is there when unset. Its options are in BUILDER_OPTS
#          (before "build") and BUILD_OPTS (after it): test/e2e/README.md has kubelab's.
# LOAD     the command that loads an image archive into every node, such as
#          "kind load image-archive"; needed unless "build".
# IMAGES   where the archives are kept; default .cache/e2e in the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."

builder=${BUILDER:-$(command -v docker || command -v buildah || true)}
[[ -n $builder ]] || { echo "neither docker nor buildah is here" >&2; exit 1; }
read -ra opts <<<"${BUILDER_OPTS:-}"
read -ra build_opts <<<"${BUILD_OPTS:-}"
images=${IMAGES:-.cache/e2e}
mkdir -p "$images/parts"

# archive NAME DOCKERFILE CONTEXT
archive() {
    local image=$1:e2e file=$images/$1.tar started=$SECONDS
    "$builder" "${opts[@]}" build "${build_opts[@]}" -t "$image" -f "$2" "$3"
    rm -f "$file"
    if [[ $builder == *docker ]]; then
        "$builder" save -o "$file" "$image"
    else
        # The name that a bare "gopprof-agent:e2e" has for the kubelet.
        "$builder" "${opts[@]}" push "$image" "docker-archive:$file:docker.io/library/$image"
    fi
    echo "$image: $((SECONDS - started)) s, $(du -m "$file" | cut -f1) MB" >&2
}

for program in burner inbox; do
    CGO_ENABLED=0 go build -ldflags '-s -w' -o "$images/parts/" "./test/$program"
done
CGO_ENABLED=0 go build -C tools/influxd -ldflags '-s -w' -o "$PWD/$images/parts/influxd" github.com/influxdata/influxdb/cmd/influxd
archive gopprof-e2e-parts test/e2e/kubernetes/Dockerfile.parts "$images/parts"
archive gopprof-agent Dockerfile.agent .
archive gopprof-aggregator Dockerfile.aggregator .
[[ ${1:-} != build ]] || exit 0

read -ra load <<<"${LOAD:?the command that loads an image archive into every node, see test/e2e/README.md}"
for image in gopprof-e2e-parts gopprof-agent gopprof-aggregator; do
    "${load[@]}" "$images/$image.tar"
done
