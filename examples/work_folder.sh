# Sourced by the examples whose products are kept for a later run: they are kept only if they were made with the same.

# die FAULT [DETAILS]
die() {
    printf '%s\n' "$(basename "$0"): error: $1" ${2:+"$2"} >&2
    exit 2
}

sha256() { # [FILE]; macOS has shasum instead
    if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi < "${1:-/dev/stdin}" | cut -d ' ' -f 1
}

# folder_state FOLDER: path, number of files, and a digest of their names and bytes, also of those that links lead to.
# Hidden ones are left out, as the tools do; so is WORK, where it is called.
folder_state() {
    local files work=$PWD
    files=$(cd "$1" && find -L . -name '.?*' -prune -o -samefile "$work" -prune -o -type f -exec cksum {} + | LC_ALL=C sort)
    echo "$1: $(grep -c . <<< "$files" || true) files, $(sha256 <<< "$files")"
}

# files_among WORD...: a line for each word, or value of an --option=, that is a file
files_among() {
    local word
    for word; do
        [ ! -f "${word#--*=}" ] || echo "FILE $word $(sha256 "${word#--*=}")"
    done
}

# same_settings WORK SETTINGS FILE...: in WORK's folder; ends if one of the FILEs is there and was made with others
same_settings() {
    local work=$1 settings=$2 made='' file changes
    shift 2
    for file; do
        [ ! -e "$file" ] || made=yes
    done
    if [ -z "$made" ]; then
        echo "$settings" > settings
        return
    fi
    [ -e settings ] || die "$work holds models of unknown settings (it has no file settings); name another WORK"
    changes=$(diff settings <(echo "$settings")) ||
        die "$work was made with other faces or options; name another WORK, or give the same again" \
            "$(sed -n 's/^< /  before: /p; s/^> /  now:    /p' <<< "$changes")"
}
