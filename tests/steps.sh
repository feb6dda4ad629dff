# What the scripts behind the Makefile have in common: progress lines, errors that say what to install, Debian packages.
# Source it, with `what` set to the word that each line begins with.

step() { echo "$what: $*"; }
fail() {
	echo "$what: $*" >&2
	exit 1
}

# Daemons are in /usr/sbin, and Go often in its own folder; a user's PATH may lack both.
PATH=$PATH:/usr/sbin
command -v go >/dev/null 2>&1 || PATH=$PATH:/usr/local/go/bin

# Debian packages, given as program=package, library.pc=package, or package alone: as root it installs those whose program,
# library or self is missing, otherwise it says which.
debian() {
	packages=
	for pair in "$@"; do
		case $pair in
		*.pc=*) pkg-config --exists "${pair%%.pc=*}" 2>/dev/null ;;
		*=*) command -v "${pair%%=*}" >/dev/null 2>&1 ;;
		*) dpkg -s "$pair" >/dev/null 2>&1 ;;
		esac || packages="$packages ${pair#*=}"
	done
	if [ -z "$packages" ]; then
		step "Debian packages: there"
		return
	fi
	[ "$(id -u)" = 0 ] || fail "Debian packages missing. Run as root: apt-get install$packages"
	command -v apt-get >/dev/null 2>&1 ||
		fail "programs missing and no apt-get here. Install by the means of this system:$packages"
	step "Debian packages: installing$packages"
	log=$(mktemp)
	# A list may be old; a fresh machine has none.
	DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$log" 2>&1 ||
		step "apt-get update failed, going on with the lists that are there"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >>"$log" 2>&1 || {
		tail -20 "$log" >&2
		fail "apt-get install failed. Try by hand: apt-get install$packages"
	}
	rm -f "$log"
	step "Debian packages: installed"
}
