# Sourced by the group that needs containers: a Docker engine with Compose 2.24 or newer, and the base images.
# A running engine is used as it is. Without one, as root on Debian or Ubuntu, one is started for this group alone.

docker_home=${DOCKER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/planner-arm-docker}

compose_is_recent() {
  local version
  version=$(docker compose version --short 2>/dev/null) || return 1
  [ "$(printf '%s\n' 2.24 "${version#v}" | sort -V | head -n 1)" = 2.24 ]
}

# Compose 2 and buildx from the distribution, or from the packages of a newer Debian, unpacked into DOCKER_CONFIG.
add_docker_plugins() {
  compose_is_recent && docker buildx version >/dev/null 2>&1 && return
  apt_install docker-compose-v2 docker-buildx && compose_is_recent && return
  local mirror apt=$scratch/apt
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -nE '/^ *#/d; s|.*(https?://[^ ]+/debian)/?( .*)?$|\1|p' | sed -n 1p)
  mkdir -p "$apt"/{lists,cache,debs}/partial "$DOCKER_CONFIG/cli-plugins"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} trixie main" \
    >"$apt/sources.list"
  local options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none)
  apt-get "${options[@]}" update -qq >>"$scratch/apt.log" 2>&1 || return
  (cd "$apt/debs" && apt-get "${options[@]}" download docker-compose docker-buildx >>"$scratch/apt.log" 2>&1 &&
    for package in *.deb; do dpkg-deb -x "$package" .; done) || return
  find "$apt/debs" -path '*/cli-plugins/*' -type f -exec cp -t "$DOCKER_CONFIG/cli-plugins" {} +
  compose_is_recent
}

# Skips the group where there is no engine and none can be started.
need_docker() {
  if docker info >/dev/null 2>&1 && compose_is_recent; then return; fi
  [ "$(id -u)" = 0 ] || skip "no Docker engine with Compose 2.24 is running, and only root can start one"
  have docker.io dockerd && have iptables iptables && command -v docker >/dev/null ||
    skip "no Docker engine is running, and none could be installed (Debian: apt-get install docker.io)"
  export DOCKER_HOST=unix://$docker_home/docker.sock DOCKER_CONFIG=$docker_home/config
  mkdir -p "$DOCKER_CONFIG"
  add_docker_plugins || skip "Docker Compose 2.24 or newer is missing, and could not be installed"
  docker info >/dev/null 2>&1 && return
  # In a session of its own, so that it outlives the group: its cache of images and builds is used again.
  rm -f "$docker_home/pid"
  setsid nice -n "${DOCKER_NICE:-0}" dockerd --data-root "$docker_home/data" --exec-root "$docker_home/exec" --pidfile "$docker_home/pid" \
    --host "$DOCKER_HOST" >"$docker_home/log" 2>&1 </dev/null &
  at_exit+=("kill \$(cat $docker_home/pid)")
  local _
  for _ in {1..150}; do
    ! docker info >/dev/null 2>&1 || return 0
    kill -0 $! 2>/dev/null || break
    sleep 0.2
  done
  skip "a Docker engine could not be started here: $(tail -n 1 "$docker_home/log")"
}

# base_image NAME: pulls it, or makes a stand-in where no registry can be reached: from this distribution's packages
# and this machine's Rust, as far as the Dockerfile and the Compose file rely on it.
base_image() {
  docker image inspect "$1" >/dev/null 2>&1 && return
  timeout 120 docker pull --quiet "$1" >/dev/null 2>&1 && return
  case $1 in
    debian:*)
      need debootstrap debootstrap
      local root=$scratch/debian
      debootstrap --variant=minbase bookworm "$root" >"$scratch/debootstrap.log" 2>&1 || skip "debootstrap failed"
      # This machine's certificate authorities, so that package managers inside reach what it reaches.
      mkdir -p "$root/etc/ssl/certs" "$root/usr/local/share/ca-certificates"
      cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
      cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
      tar -C "$root" -c . | docker import - "$1" >/dev/null
      rm -rf "$root"
      ;;
    *)
      base_image debian:bookworm-slim
      local context=.ci/stand-ins target=${1%%:*}
      target=${target##*/}
      if [ "$target" = rust ]; then
        context=$scratch/rust
        mkdir "$context"
        cp .ci/stand-ins/Dockerfile "$context"
        tar -C "$(rustc --print sysroot)" -cf "$context/rust.tar" .
      fi
      docker build --quiet --network host --target "$target" --tag "$1" "$context" >/dev/null
      echo "no registry can be reached: $1 is a stand-in"
      ;;
  esac
}
