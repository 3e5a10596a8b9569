-- Reserve units of one SKU in PostgreSQL: the work that Holdfast's `reserve` does, as far as a function does it.
-- 1: granted, now or before under the same id; 0: not enough. The hold goes first, so that the row of the stock, which others wait
-- for, is locked as late as can be. Pages of the stock have room, so that an update stays on its page and touches no index (HOT).
-- What it leaves out: units of a hold that expires do not come back (that needs an index on expires_at and a sweeper beside it).
create table stock (sku text primary key, units bigint not null) with (fillfactor = 50);
create table hold (id text primary key, sku text not null, units bigint not null, expires_at timestamptz not null);
create function reserve(text, text, bigint, bigint) returns int language plpgsql as $$
begin
	insert into hold values ($1, $2, $3, now() + $4 * interval '1 ms') on conflict do nothing;
	if not found then
		return 1;
	end if;
	update stock set units = units - $3 where sku = $2 and units >= $3;
	if not found then
		delete from hold where id = $1;
		return 0;
	end if;
	return 1;
end $$;
