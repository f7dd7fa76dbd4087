# Debian's Rust compiler with the sources of its standard library, for processors that the machine's own Rust has no standard library
# for. cross.sh and mcu.sh source it, after steps.sh.
# shellcheck shell=bash

readonly cross=$PWD/target/cross

# Unpacks both into target/cross, once. They are not installed: the machine may have its own.
compiler() {
	if [[ -x $cross/rustc ]]; then return; fi
	local std llvm package
	std=$(apt-cache show --no-all-versions libstd-rust-web-dev | sed -n 's/^Depends: \(libstd-rust-web-[0-9.]*\).*/\1/p')
	llvm=$(apt-cache show --no-all-versions "$std" | grep -o 'libllvm[0-9]*' | head -n 1)
	debian "$llvm"
	echo "unpacking Debian's rustc-web and its sources into target/cross"
	rm -rf "$cross/deb" "$cross/web"
	mkdir -p "$cross/deb" "$cross/web"
	(cd "$cross/deb" && apt-get -qq -o APT::Sandbox::User=root download rustc-web libstd-rust-web-dev "$std" rust-web-src)
	for package in "$cross"/deb/*.deb; do dpkg-deb -x "$package" "$cross/web"; done
	rm -r "$cross/deb"
	cat >"$cross/rustc" <<-R
		#!/bin/sh
		LD_LIBRARY_PATH=$cross/web/usr/lib/x86_64-linux-gnu exec $cross/web/usr/bin/rustc "\$@"
	R
	chmod +x "$cross/rustc"
}
