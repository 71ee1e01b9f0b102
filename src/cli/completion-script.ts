/** The shells that {@link completionScript} speaks. */
export const shells = ['bash', 'zsh', 'fish'] as const;

export type ShellName = (typeof shells)[number];

/**
 * What `podwire __complete` writes in its last line, as `:N`: bits for the script.
 *
 * @see cobra's ShellCompDirective, of which these are the values
 */
export const directives = { error: 1, noFiles: 4, folders: 16 } as const;

/** `__complete` gets the words behind `podwire`, the last one as far as it is typed; it may be empty. */
const scripts: Readonly<Record<ShellName, string>> = {
  bash: `# podwire completion for bash
__podwire_complete() {
  local last="\${COMP_WORDS[COMP_CWORD]}" words=() count=0 glue='' i word current prefix out directive line
  # Readline cuts words at = and :, podwire wants them whole.
  for (( i = 1; i <= COMP_CWORD; i++ )); do
    word="\${COMP_WORDS[i]}"
    if (( count > 0 )) && [[ -n "$glue" || "$word" == [=:]* ]]; then
      words[count-1]="\${words[count-1]}$word"
    else
      words[count]="$word"
      count=$(( count + 1 ))
    fi
    glue=''
    [[ "$word" == [=:] ]] && glue=yes
  done
  current="\${words[count-1]}"
  prefix="\${current%"$last"}"
  [[ "$last" == [=:] ]] && prefix="$current"
  out="$("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)" || return
  directive="\${out##*:}"
  out="\${out%:*}"
  COMPREPLY=()
  (( directive & 1 )) && return
  while IFS= read -r line; do
    line="\${line%%$'\\t'*}"
    [[ -n "$line" && "$line" == "$current"* ]] && COMPREPLY+=("\${line#"$prefix"}")
  done <<<"$out"
  (( \${#COMPREPLY[@]} > 0 )) && return
  if (( directive & 16 )); then compopt -o dirnames 2>/dev/null
  elif (( ! (directive & 4) )); then compopt -o default 2>/dev/null
  fi
}
complete -F __podwire_complete podwire
`,
  zsh: `#compdef podwire
# podwire completion for zsh
_podwire() {
  local out directive line word about
  local -a candidates
  out="$("\${words[1]}" __complete "\${(@)words[2,CURRENT-1]}" "\${words[CURRENT]}" 2>/dev/null)" || return 1
  directive="\${out##*:}"
  out="\${out%:*}"
  (( directive & 1 )) && return 1
  while IFS= read -r line; do
    [[ -z "$line" ]] && continue
    word="\${line%%$'\\t'*}"
    about="\${line#*$'\\t'}"
    if [[ "$about" == "$line" ]]; then candidates+=("\${word//:/\\\\:}")
    else candidates+=("\${word//:/\\\\:}:$about")
    fi
  done <<<"$out"
  if (( \${#candidates} )); then
    _describe -V podwire candidates
  elif (( directive & 16 )); then _files -/
  elif (( ! (directive & 4) )); then _files
  fi
}
if [[ "\${funcstack[1]}" == _podwire ]]; then _podwire "$@"; else compdef _podwire podwire; fi
`,
  fish: `# podwire completion for fish
function __podwire_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l out ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
  or return
  set -l directive (string replace ':' '' -- $out[-1])
  test (math "bitand($directive, 1)") -ne 0; and return
  set -l candidates $out[1..-2]
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else if test (math "bitand($directive, 16)") -ne 0
    __fish_complete_directories "$current"
  else if test (math "bitand($directive, 4)") -eq 0
    __fish_complete_path "$current"
  end
end
complete -c podwire -f -a '(__podwire_complete)'
`,
};

/** The script that makes `shell` complete podwire's command lines. */
export function completionScript(shell: ShellName): string {
  return scripts[shell];
}
