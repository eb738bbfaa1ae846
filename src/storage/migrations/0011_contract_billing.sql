-- What a contract's scheduled invoices have billed, so that a purchase, a charge or a fee is invoiced once: the keys of
-- their lines. A postpaid commit that fell short of nothing has a row without an invoice.
create table contract_billed_lines (
  account_id text collate "C" not null,
  contract_id uuid not null,
  line_key text collate "C" not null,
  invoice_id uuid,
  primary key (account_id, contract_id, line_key),
  foreign key (account_id, contract_id) references contracts (account_id, id)
);
create index contract_billed_lines_by_invoice on contract_billed_lines (account_id, invoice_id)
  where invoice_id is not null;

alter table balances add column invoice_contract_id uuid;
create index balances_by_contract on balances (account_id, contract_id) where contract_id is not null;
