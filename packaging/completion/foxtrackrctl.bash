# bash completion for foxtrackrctl(8). Commands, options and arguments are those of its --help, so that
# this file does not fall behind.

# The reasons of quarantine that replay takes, as foxtrackr_reason_name() names them.
_foxtrackrctl_reasons="topic version encoding json envelope body time conflict empty"

_foxtrackrctl()
{
    local current=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD - 1]}
    local help usage="" general="" commands="" command="" line word option
    local -a positionals=()
    local given=0 i

    COMPREPLY=()
    help=$("$1" --help 2>/dev/null) || return

    # readline makes three words of --config=FILE.
    if [[ $before == "=" ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $current == "=" ]]; then
        current=""
    fi
    case $before in
        -c | --config | -o | --output)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        --reason)
            mapfile -t COMPREPLY < <(compgen -W "$_foxtrackrctl_reasons" -- "$current")
            return
            ;;
        --format)
            mapfile -t COMPREPLY < <(compgen -W "csv ndjson" -- "$current")
            return
            ;;
        --since | --until | --device | --group) return ;;
    esac

    # The command, and how many arguments it has before this word.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -c | --config | -o | --output | --reason | --format | --since | --until | --device | --group)
                [[ ${COMP_WORDS[i + 1]} != "=" ]] || i=$((i + 1))
                i=$((i + 1))
                ;;
            -*) ;;
            *)
                if [[ -z $command ]]; then
                    command=$word
                else
                    given=$((given + 1))
                fi
                ;;
        esac
    done

    # "  command ARGUMENT  what it does", and options below.
    while IFS= read -r line; do
        if [[ $line =~ ^\ \ ([a-z]+)\ (.*) ]]; then
            commands+=" ${BASH_REMATCH[1]}"
        elif [[ $line =~ ^(\ \ (-[a-z]),\ |\ {6})(--[a-z-]+) ]]; then
            general+=" ${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
        fi
    done <<<"$help"

    if [[ -z $command ]]; then
        [[ $current == -* ]] && commands=$general
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        return
    fi

    # "Usage: foxtrackrctl [-c FILE] command [--option] [--option VALUE] ARGUMENT [ARGUMENT]", on one
    # line or two, before an empty one.
    if [[ $command == help ]]; then
        usage="[COMMAND]"
    else
        help=$("$1" help "$command" 2>/dev/null) || return
        usage=${help%%$'\n\n'*}
        usage=${usage#*" $command "}
    fi
    option=""
    before=""
    for word in $usage; do
        case $before$word in
            --*[A-Z]) before="" ;; # the value of an option that must be given
            --*) option+=" $word"; before=$word ;;
            \[--*\]) option+=" ${word//[\[\]]/}" ;;
            \[--*) option+=" ${word#\[}" ;; # its value is the next word, which ends in ]
            [A-Z]*\] | \[[A-Z]*\]\]) ;; # such a value
            *) positionals+=("${word//[\[\]]/}") ;;
        esac
    done
    if [[ $current == -* || ${#positionals[@]} -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$option" -- "$current")
    elif [[ ${positionals[given]-} == COMMAND ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    elif [[ ${positionals[given]-} == QUANTITY ]]; then
        mapfile -t COMPREPLY < <(compgen -W "battery temperature" -- "$current")
    elif [[ ${positionals[given]-} =~ ^[a-z] ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${positionals[given]}" -- "$current") # a word as it is
    elif [[ ${positionals[given]-} == FILE ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _foxtrackrctl foxtrackrctl
