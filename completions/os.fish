complete --keep-order --exclusive --command os --arguments "(OSCLI_COMPLETE=fish os -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
