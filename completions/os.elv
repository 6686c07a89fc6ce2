set edit:completion:arg-completer[os] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) OSCLI_COMPLETE="elvish" os -- $@words) | to-lines
}
