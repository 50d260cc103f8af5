# grep, sed, diff, find, tar, gzip, xz, bc.

seq 1 50000 >numbers
grep -c '7$' numbers
grep -Ec '^(1[0-9]*2|[3-5]{3})$' numbers
grep -o '99*' numbers | sort | uniq -c
sed -n -e 's/^\([0-9]\)\(.*\)\(.\)$/\3\2\1/' -e '/^00/p' numbers | sha256sum
sed -e ':a' -e 's/^\([0-9]\{1,\}\)\([0-9]\{3\}\)/\1,\2/' -e 'ta' numbers | tail -n 2
sed 's/^777$/changed/' numbers >other
diff numbers other
diff -u numbers other | tail -n +3 | sha256sum
mkdir -p tree/x/y && cp numbers tree/x && cp other tree/x/y
find tree -type f -name 'o*' | sort
find tree -type f | sort | xargs sha256sum

for pack in gzip "xz -1"; do
    $pack -c numbers >packed
    ${pack%% *} -dc packed | cmp - numbers && echo "${pack%% *} there and back"
    printf X | dd of=packed bs=1 seek=2000 conv=notrunc status=none
    ${pack%% *} -t packed 2>/dev/null || echo "${pack%% *} finds damage"
done
gzip -nc numbers | sha256sum
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
sha256sum <tree.tar
rm -r tree && tar -xf tree.tar && find tree -type f | wc -l

echo '2^521 - 1' | BC_LINE_LENGTH=0 bc
echo 'scale=60; 4*a(1); e(1); sqrt(2); s(1); l(10)' | BC_LINE_LENGTH=0 bc -l
