# Completion of the kd-* tools for fish: source this file, or have it in vendor_conf.d.
# The tool itself says what could stand at the cursor: words, or globs of files (see kdtools/cli/_complete.py).

function __kdtools_complete
    set -l words (commandline -opc) (commandline -ct)
    # The answers are for the piece behind the =.
    set -l known (string match -r '^.*=' -- $words[-1])
    set -l piece (string replace -- "$known" '' $words[-1])
    for line in (_KDTOOLS_COMPLETE=1 $words[1] $words[2..-1] 2>/dev/null)
        if string match -q -- '*/' $line
            for folder in "$piece"*/
                echo "$known$folder"
            end
        else if string match -q -r '^[^\t]*\*' -- $line
            for file in "$piece"*
                if test -d "$file"
                    echo "$known$file/"
                else if string match -q -- $line "$file"
                    echo "$known$file"
                end
            end
        else
            echo "$known$line"
        end
    end
end

for tool in kd-asm kd-dump kd-eval kd-export kd-import kd-info kd-merge kd-origin kd-predict kd-split kd-student kd-synth kd-teacher kd-view kdtools
    complete -c $tool -f -k -a '(__kdtools_complete)'
end
