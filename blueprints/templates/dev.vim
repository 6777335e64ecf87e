" Managed by ami-node (blueprint dev). Read by vim after your own .vimrc.
set expandtab shiftwidth=2 softtabstop=2
set ignorecase smartcase incsearch
set scrolloff=3 ruler
autocmd FileType make,go setlocal noexpandtab
